"""An image network together with the preparation of its images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..alpha import flat
from .resize import resize, square

Colour = tuple[float, float, float]
Colours = tuple[Colour, Colour]  # mean and deviation of the training images' channels, in [0, 1]

CLIP: Colours = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET: Colours = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageTower(nn.Module):
    """Images (N, C, H, W) in [-1, 1] of any size -> embeddings (N, dim), of any length. Differentiable.

    C is 1, 3 or 4; what is transparent is laid on white.

    `network` takes prepared images (N, 3, size, size), and has `size` and `dim`. mean, deviation: of its training.
    whole: it sees all of a picture that is not square, pressed into one, as it has learnt them; others see its middle.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, network: nn.Module, mean: Sequence[float], deviation: Sequence[float], whole: bool = False
    ) -> None:
        super().__init__()
        self.network, self.prepare = network, resize if whole else square
        self.size: int = network.size  # pyright: ignore[reportAttributeAccessIssue] - every image network has both
        self.dim: int = network.dim  # pyright: ignore[reportAttributeAccessIssue]
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # which would round pixels to 8 bits
            x = self.prepare(flat(x.float()).expand(-1, 3, -1, -1) / 2 + 0.5, self.size, "bicubic").clamp(0, 1)
        return self.network((x - self.mean) / self.deviation)
