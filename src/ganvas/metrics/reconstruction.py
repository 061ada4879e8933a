"""How close reconstructions are to their originals."""

from __future__ import annotations

from torch import Tensor

from ..errors import RequestError
from .inputs import check_finite, double

RANGE = 2.0  # of values in [-1, 1]


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, 10 log₁₀(range² / mse), in decibels; infinite where they are equal.

    Args:
        x: images, (N, ...) in [-1, 1].
        y: as many of the same shape.

    Returns:
        Decibels, (N,) float32.

    Raises:
        RequestError: the shapes differ, or there is no image or no pixel, or the values are integers.
        WorkError: a value is not finite.
    """
    if x.shape != y.shape or x.ndim < 2 or not x.numel() or not (x.is_floating_point() and y.is_floating_point()):
        raise RequestError(
            f"cannot compare {x.dtype} of shape {tuple(x.shape)} with {y.dtype} of shape {tuple(y.shape)}",
            "give floating point images (N, ...) twice, with values in [-1, 1]",
        )
    check_finite(x, "images")
    check_finite(y, "images")
    mse = (double(x) - double(y)).square().flatten(1).mean(1)
    return (10 * (RANGE**2 / mse).log10()).float()
