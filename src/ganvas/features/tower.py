"""A published vision transformer with the preparation of images that it was trained with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..nets.vit import VisionTransformer
from .extractor import Extractor
from .published import open_network
from .resize import square

Colour = tuple[float, float, float]


class ImageTower(nn.Module):
    """Images (N, C, H, W) in [-1, 1], C 1 or 3, of any size -> embeddings (N, dim), of any length. Differentiable.

    mean, deviation: of the training images' channels, in [0, 1].
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: VisionTransformer, mean: Colour, deviation: Colour) -> None:
        super().__init__()
        self.network, self.dim = network, network.dim
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = square(x.expand(-1, 3, -1, -1) / 2 + 0.5, self.network.size, "bicubic").clamp(0, 1)
        return self.network((x - self.mean) / self.deviation)


def open_tower(name: str, mean: Colour, deviation: Colour, device: str) -> tuple[ImageTower, str]:
    """The tower whose weights are `name`.safetensors, fixed, and their hash."""
    network, digest = open_network(name, VisionTransformer, device)
    return ImageTower(network, mean, deviation).to(device), digest


def tower_extractor(name: str, mean: Colour, deviation: Colour, device: str) -> Extractor:
    """The tower as an extractor, which sees images of 8 bits, as files hold them."""
    tower, digest = open_tower(name, mean, deviation, device)

    def features(x: Tensor) -> Tensor:
        return tower((x * 127.5 + 127.5).round().clamp(0, 255) / 127.5 - 1)

    size = tower.network.size
    resize = (
        f"8-bit values, RGB, the short side resized to {size} (bicubic, antialiased), the central {size}×{size}, "
        f"the mean {mean} and deviation {deviation}"
    )
    return Extractor(name, digest, tower.dim, resize, features, None, device)
