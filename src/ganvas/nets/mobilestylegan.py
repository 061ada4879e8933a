"""MobileStyleGAN's generator (Belousov 2021, arXiv:2104.04767): StyleGAN2's styles, with wavelets.

Each resolution is predicted as the four bands of a Haar wavelet at half the resolution. Convolutions are separable:
depthwise, then pointwise. The demodulation is constant and part of the weights.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import RequestError
from .blocks import Generator
from .progan import pixel_norm

LEAK = 0.2
GAIN = 2**0.5  # of the mapping's activations, which keeps their variance


def inverse_haar(x: Tensor) -> Tensor:
    """The image with the bands x (N, 4C, H, W), as (N, C, 2H, 2W).

    The bands are the C means, then for each of the C channels the differences down, across and both ways.
    """
    low, rest = x.split((x.shape[1] // 4, x.shape[1] - x.shape[1] // 4), 1)
    down, across, both = rest.unflatten(1, (-1, 3)).unbind(2)
    corners = (low + down + across + both, low + down - across - both)
    corners += (low - down + across - both, low - down - across + both)
    return F.pixel_shuffle(torch.stack(corners, 2).flatten(1, 2) / 2, 2)


class StyledConvolutions(nn.Module):
    """Convolutions of x·style, constant noise, leaky ReLU; (N, C, H, W) -> (N, C', H, W)."""

    noise: Tensor

    def __init__(self, side: int, *convolutions: nn.Module) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(*convolutions)
        self.register_buffer("noise", torch.zeros(side, side))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return F.leaky_relu(self.convolutions(x * style[:, :, None, None]) + self.noise, LEAK)


def separable(a: int, b: int, side: int) -> StyledConvolutions:
    """A depthwise 3×3 and a pointwise convolution."""
    return StyledConvolutions(side, nn.Conv2d(a, a, 3, padding=1, groups=a, bias=False), nn.Conv2d(a, b, 1))


class MobileStyleGANGenerator(Generator):
    """w - w̄ (N, latent) -> images (N, C, H, W) in [-1, 1].

    A latent is a point of W, the output space of the mapping network, minus its mean; `prior` draws such points. So
    truncation is StyleGAN's, walks, edits and projections are in W, and SeFa finds the directions of all styles at
    once, since one affine layer produces them all.
    """

    mean: Tensor

    def __init__(
        self, shape: tuple[int, ...], latent: int = 512, widths: tuple[int, ...] = (), mapping: int = 8
    ) -> None:
        """widths: channels at 4, 8, 16, … pixels, the last at half of the image's side; mapping: layers.

        Raises RequestError where they do not fit the size.
        """
        channels, height, width = shape
        if height != width or 4 << len(widths) != height:
            raise RequestError(f"{len(widths)} widths give {4 << len(widths)} pixels a side, not {height}×{width}")
        super().__init__(latent, shape, {"widths": list(widths), "mapping": mapping})
        levels = [(a, b, 8 << i) for i, (a, b) in enumerate(pairwise(widths))]  # channels before and in it; side
        # of the styles, in the order of their use
        self.sizes = [widths[0], *(size for a, b, _ in levels for size in (a, a // 4, b)), widths[-1]]
        self.styles = nn.Linear(latent, sum(self.sizes))
        self.input = nn.Parameter(torch.randn(widths[0], 4, 4))
        self.first = StyledConvolutions(4, nn.Conv2d(widths[0], widths[0], 3, padding=1))
        self.narrow = nn.ModuleList(separable(a // 4, b, side) for a, b, side in levels)
        self.wide = nn.ModuleList(separable(b, b, side) for _, b, side in levels)
        self.to_bands = nn.Conv2d(widths[-1], 4 * channels, 1)
        self.mapping = nn.ModuleList(nn.Linear(latent, latent) for _ in range(mapping))
        self.register_buffer("mean", torch.zeros(latent))

    def map(self, z: Tensor) -> Tensor:
        """z ~ N(0, I), (N, latent) -> w, (N, latent)."""
        w = pixel_norm(z)
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), LEAK) * GAIN
        return w

    @torch.no_grad()
    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """w - w̄ of z ~ N(0, I), (n, latent); on the CPU with a generator and on the weights' device without."""
        w = self.map(super().prior(n, generator).to(self.mean.device)) - self.mean
        return w if generator is None else w.cpu()

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        styles = iter(self.styles(z + self.mean).split(self.sizes, 1))
        x = self.first(self.input.expand(len(z), -1, -1, -1), next(styles))
        for narrow, wide in zip(self.narrow, self.wide, strict=True):
            x = narrow(inverse_haar(x * next(styles)[:, :, None, None]), next(styles))
            x = wide(x, next(styles))
        bands = self.to_bands(x * next(styles)[:, :, None, None])
        return inverse_haar(bands).clamp(-1, 1)
