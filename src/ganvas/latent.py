"""Latents: where a seed lies."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from .errors import RequestError
from .types import Decoder


def from_seeds(decoder: Decoder, seeds: Iterable[int]) -> Tensor:
    """One latent a seed, (N, ...) on the CPU.

    Each is drawn alone by its own CPU generator, so that a seed gives the same latent on every device and whatever
    the seeds beside it.
    """
    latents = [decoder.prior(1, torch.Generator().manual_seed(seed)) for seed in seeds]
    if not latents:
        raise RequestError("no seeds were given; give at least one, such as 0")
    return torch.cat(latents)


def truncate(z: Tensor, psi: float, mean: Tensor | float = 0.0) -> Tensor:
    """Latents (N, ...) moved toward the mean: z̄ + ψ(z - z̄), the truncation trick (Karras et al. 2019, eq. in B).

    ψ = 1 changes nothing, ψ = 0 gives the mean alone: less variety, fewer failures in between.
    """
    return mean + psi * (z - mean)
