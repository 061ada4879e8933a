"""The generator of progressively grown GANs (Karras et al. 2018), fully grown."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import RequestError
from .blocks import Generator


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """b = a / √(mean over channels of a² + ε), (N, C, ...): Karras et al. 2018, section 4.2."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + eps)


class ProGANGenerator(Generator):
    """z -> pixel norm -> 4×4, and two convolutions per doubling, each with leaky ReLU and pixel norm.

    The constants of the equalised learning rate are part of the weights, as published files have them.
    """

    def __init__(self, shape: tuple[int, ...], latent: int = 512, widths: tuple[int, ...] = ()) -> None:
        """`shape` is (C, H, W), square; `widths` are the channels at 4, 8, 16, … pixels, none: 512 at each.

        Raises RequestError where the widths do not fit the size.
        """
        channels, height, width = shape
        widths = tuple(widths) or (512,) * max(1, (height // 4).bit_length())
        if height != width or 4 << (len(widths) - 1) != height:
            raise RequestError(f"{len(widths)} widths give {2 << len(widths)} pixels a side, not {height}×{width}")
        super().__init__(latent, shape, {"widths": list(widths)})
        self.first = nn.ModuleList(
            nn.Conv2d(a, b, 3 if i else 4, padding=1 if i else 3)
            for i, (a, b) in enumerate(pairwise((latent, *widths)))
        )
        self.second = nn.ModuleList(nn.Conv2d(b, b, 3, padding=1) for b in widths)
        self.to_image = nn.Conv2d(widths[-1], channels, 1)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, latent) -> (N, C, H, W) in [-1, 1]."""
        x = pixel_norm(z)[:, :, None, None]
        for i, (first, second) in enumerate(zip(self.first, self.second, strict=True)):
            x = F.interpolate(x, scale_factor=2.0) if i else x
            for convolution in (first, second):
                x = pixel_norm(F.leaky_relu(convolution(x), 0.2))
        return self.to_image(x).clamp(-1, 1)
