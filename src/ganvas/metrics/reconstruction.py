"""How near reconstructions are to their originals."""

from __future__ import annotations

from torch import Tensor

RANGE = 2.0  # of values in [-1, 1]


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, 10 log₁₀(range² / mse), in decibels; infinite where they are equal.

    x, y: (N, ...) in [-1, 1] -> (N,).
    """
    mse = (x.double() - y.double()).square().flatten(1).mean(1)
    return (10 * (RANGE**2 / mse).log10()).float()
