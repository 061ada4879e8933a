"""From seeds to latents, and truncation toward the mean."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ..errors import RequestError
from ..types import Decoder

MOST = 1_000_000  # seeds of one range
REFERENCE = 64  # items, whose mean is typical

Seeds = str | int | Iterable[int]  # "0-35,42" (StyleGAN's syntax), one seed, or several


def parse_seeds(seeds: Seeds) -> list[int]:
    """'0-3,42' -> [0, 1, 2, 3, 42]; also one int, or any iterable of them. Raises RequestError for anything else."""
    if isinstance(seeds, int):
        return [seeds]
    if not isinstance(seeds, str):
        return [int(seed) for seed in seeds]
    found: list[int] = []
    for part in seeds.replace(" ", "").split(","):
        match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", part)
        if not match:
            raise RequestError(f"{part!r} is not a seed or a range", "write such as 0-35,42", field="seeds")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise RequestError(f"the range {part} runs backwards", f"write {last}-{first}", field="seeds")
        if last - first >= MOST:
            raise RequestError(f"{part} are more than {MOST:,} seeds", "draw them in several parts", field="seeds")
        found.extend(range(first, last + 1))
    return found


def from_seeds(decoder: Decoder, seeds: Iterable[int]) -> Tensor:
    """One latent a seed, (N, ...) on the CPU.

    Each has its own CPU generator, so that a seed gives the same latent on every device and next to any other seeds.
    Raises RequestError where there is no seed, or one that is negative or above 63 bits.
    """
    seeds = list(seeds)
    if wrong := [seed for seed in seeds if not 0 <= seed < 2**63]:
        raise RequestError(f"seed {wrong[0]} is out of range", "choose 0 or more, below 2^63", field="seeds")
    latents = [decoder.prior(1, torch.Generator().manual_seed(seed)) for seed in seeds]
    if not latents:
        raise RequestError("no seeds were given", "give at least one, such as 0", field="seeds")
    return torch.cat(latents)


def truncate(z: Tensor, psi: float, mean: Tensor | float = 0.0) -> Tensor:
    """Latents (N, ...) moved toward the mean: z̄ + ψ(z - z̄), the truncation trick (Karras et al. 2019, eq. in B).

    ψ = 1 changes nothing, ψ = 0 gives the mean; values between mean less variety and fewer failures. Raises
    RequestError where ψ is not finite.
    """
    check_psi(psi)
    return mean + psi * (z - mean)


def check_psi(psi: float) -> None:
    """Raise RequestError where ψ is not finite."""
    if not math.isfinite(psi):
        raise RequestError(f"{psi:g} is not possible", "give a number, such as 0.7", field="truncation")


def reject(
    decoder: Decoder, seeds: Iterable[int], psi: float, features: Callable[[Tensor, list[int]], Tensor]
) -> Tensor:
    """Latents (N, ...), the most typical of several a seed: truncation for noise and grids, which cannot be shortened.

    Of round(1/ψ) latents a seed, at most 100, it keeps the one whose item is nearest to the mean of REFERENCE others:
    the densest ψ of all (DeVries et al. 2020, "Instance selection for GANs", applied to samples). The first of a seed
    is its own latent, so ψ = 1 changes nothing.

    features: (latents (n, ...), the seed of each) -> features of their items, (n, D), all on the CPU.

    Raises RequestError where ψ is not finite.
    """
    check_psi(psi)
    tries = min(100, max(1, round(1 / max(psi, 0.01))))
    if tries == 1:
        return from_seeds(decoder, seeds)
    seeds, kept = list(seeds), []
    mean = features(decoder.prior(REFERENCE, torch.Generator().manual_seed(0)), list(range(REFERENCE))).mean(0)
    step = max(1, REFERENCE // tries)
    for some in (seeds[i : i + step] for i in range(0, len(seeds), step)):  # noise is as large as an image
        generators = [torch.Generator().manual_seed(seed) for seed in some]
        drawn = torch.stack([torch.cat([decoder.prior(1, g) for _ in range(tries)]) for g in generators])
        found = features(drawn.flatten(0, 1), [seed for seed in some for _ in range(tries)])
        best = (found - mean).square().sum(1).reshape(len(some), tries).argmin(1)
        kept.append(drawn[torch.arange(len(some)), best])
    return torch.cat(kept)
