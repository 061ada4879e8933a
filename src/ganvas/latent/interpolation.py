"""Interpolation between two latents, and the easing along it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

ALIGNED = 1e-4  # the sine of the angle below which the line replaces the arc


def lerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The straight line a(1 - t) + bt. a, b: (N, ...); t: a number, or (N,)."""
    t = _broadcast(a, t)
    return a * (1 - t) + b * t


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The arc [sin((1-t)ω) a + sin(tω) b] / sin ω, ω the angle between a and b (Shoemake 1985). Shapes as `lerp`.

    Gaussian latents of d numbers are all about √d long. An arc keeps that length; the middle of a straight line is
    shorter than any latent that is drawn. Latents of equal or opposite directions are joined by a line. The angle is
    that of all numbers of a latent, whatever its shape.
    """
    t = _broadcast(a, t)
    u, v = a.flatten(1), b.flatten(1)
    cosine = (u * v).sum(1) / (u.norm(dim=1) * v.norm(dim=1)).clamp(min=1e-12)
    omega = torch.arccos(cosine.clamp(-1, 1)).reshape(-1, *[1] * (a.ndim - 1))
    sine = torch.sin(omega)
    arc = (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / sine.clamp(min=ALIGNED)
    return torch.where(sine < ALIGNED, lerp(a, b, t), arc)


def _broadcast(a: Tensor, t: Tensor | float) -> Tensor:
    """t as (N, 1, ...), or (1, ...), of as many dimensions as a."""
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device)
    return t if t.ndim == a.ndim else t.reshape(-1, *[1] * (a.ndim - 1))


# [0, 1] -> [0, 1]. smooth starts and ends at rest; sin6 is slow, fast, slow, and ends at 0.985.
EASINGS: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "smooth": lambda t: t * t * (3 - 2 * t),
    "sin6": lambda t: math.sin(1.5 * t) ** 6,
}
INTERPOLATIONS: dict[str, Callable[[Tensor, Tensor, Tensor | float], Tensor]] = {"slerp": slerp, "lerp": lerp}
