"""Latents: where a seed lies, and how far from the mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ..errors import RequestError
from ..types import Decoder


def from_seeds(decoder: Decoder, seeds: Iterable[int]) -> Tensor:
    """One latent a seed, (N, ...) on the CPU.

    Each is drawn alone by its own CPU generator, so that a seed gives the same latent on every device and whatever
    the seeds beside it. Raises RequestError where there is no seed, or one that is negative or above 63 bits.
    """
    seeds = list(seeds)
    if wrong := [seed for seed in seeds if not 0 <= seed < 2**63]:
        raise RequestError(f"seed {wrong[0]} is out of range; choose 0 or more, below 2^63")
    latents = [decoder.prior(1, torch.Generator().manual_seed(seed)) for seed in seeds]
    if not latents:
        raise RequestError("no seeds were given; give at least one, such as 0")
    return torch.cat(latents)


def truncate(z: Tensor, psi: float, mean: Tensor | float = 0.0) -> Tensor:
    """Latents (N, ...) moved toward the mean: z̄ + ψ(z - z̄), the truncation trick (Karras et al. 2019, eq. in B).

    ψ = 1 changes nothing, ψ = 0 gives the mean alone: less variety, fewer failures in between. Raises RequestError
    where ψ is not finite.
    """
    check_psi(psi)
    return mean + psi * (z - mean)


def check_psi(psi: float) -> None:
    """A RequestError where nothing could be drawn with it."""
    if not math.isfinite(psi):
        raise RequestError(f"truncation {psi:g} is not possible; give a number, such as 0.7")


def reject(decoder: Decoder, seeds: Iterable[int], psi: float, features: Callable[[Tensor], Tensor]) -> Tensor:
    """Latents (N, ...) of the most typical of several tries a seed: truncation where the mean is no latent.

    Of round(1/ψ) latents a seed, at most 100, the one is kept whose item lies nearest to the mean of all of them: the
    densest ψ of what is drawn (DeVries et al. 2020, "Instance selection for GANs", applied to samples). The first try
    of a seed is its own latent, so that ψ = 1 changes nothing. It is for latents that are noise or grids, which a
    decoder knows only at their full length.

    features: latents (n, ...) on the CPU -> what tells items apart, (n, D) on the CPU.

    Raises RequestError where ψ is not finite.
    """
    check_psi(psi)
    seeds = list(seeds)
    tries = min(100, max(1, round(1 / max(psi, 0.01))))
    if tries == 1:
        return from_seeds(decoder, seeds)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    drawn = torch.stack([torch.cat([decoder.prior(1, g) for _ in range(tries)]) for g in generators])  # (N, tries, ...)
    seen = features(drawn.flatten(0, 1)).unflatten(0, (len(seeds), tries))
    best = (seen - seen.flatten(0, 1).mean(0)).square().sum(2).argmin(1)
    return drawn[torch.arange(len(seeds)), best]
