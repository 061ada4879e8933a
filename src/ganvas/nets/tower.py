"""An image network together with the preparation of its images."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from .resize import square

Colour = tuple[float, float, float]
Colours = tuple[Colour, Colour]  # mean and deviation of the training images' channels, in [0, 1]

CLIP: Colours = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET: Colours = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageNetwork(Protocol):
    """Prepared images (N, 3, size, size) -> embeddings (N, dim)."""

    size: int
    dim: int

    def __call__(self, x: Tensor) -> Tensor: ...


class ImageTower(nn.Module):
    """Images (N, C, H, W) in [-1, 1], C 1 or 3, of any size -> embeddings (N, dim), of any length. Differentiable.

    `network` is an `ImageNetwork`; mean and deviation are those of its training images.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: Colour, deviation: Colour) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)

    @property
    def typed(self) -> ImageNetwork:
        """The network with its type."""
        return self.network  # pyright: ignore[reportReturnType] - nn.Module's attributes are Any

    @property
    def dim(self) -> int:
        """Numbers of an embedding."""
        return self.typed.dim

    @property
    def size(self) -> int:
        """Pixels a side of the network's input."""
        return self.typed.size

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # which would round pixels to 8 bits
            x = square(x.float().expand(-1, 3, -1, -1) / 2 + 0.5, self.size, "bicubic").clamp(0, 1)
        return self.network((x - self.mean) / self.deviation)
