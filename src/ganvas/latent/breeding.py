"""Breeding: children of latents by crossover and mutation, each of which its record alone gives again."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import RequestError, unknown
from ..types import Decoder
from .interpolation import slerp
from .linkage import linkage
from .seeds import from_seeds

SEED = re.compile(r"seed-(\d{1,18})")


class Birth(NamedTuple):
    """How a child came to be: with its parents' latents, all that it takes to have it again."""

    parents: tuple[str, ...]  # their names: one, or two
    seed: int
    mutation: float
    crossover: str


class Child(NamedTuple):
    """A child, by name, with its record and its latent (...)."""

    name: str
    birth: Birth
    latent: Tensor


def mix(
    a: Tensor, b: Tensor, generator: torch.Generator, links: Tensor | None = None, share: float | None = None
) -> Tensor:
    """Each number from the one or the other parent; of grids (C, H, W) each place, with all its channels.

    links: the group of each number of a vector, see `linkage`; those of one group come from one parent.
    share: how many come from the first. By default that is itself drawn, so that some children take after one parent
    and some after both. Numbers that both parents drew from a Gaussian stay its.
    """
    share = float(torch.rand((), generator=generator)) if share is None else share
    coins = torch.rand(a.shape[-2:] if a.ndim > 1 else a.shape, generator=generator) < share
    return torch.where(coins if links is None else coins[links], a, b)


def blend(a: Tensor, b: Tensor, generator: torch.Generator, links: Tensor | None = None) -> Tensor:
    """A point on the arc between the parents."""
    return slerp(a[None], b[None], torch.rand((), generator=generator))[0]


CROSSOVERS: dict[str, Callable[[Tensor, Tensor, torch.Generator, Tensor | None], Tensor]] = {"mix": mix, "blend": blend}


def mutate(z: Tensor, noise: Tensor, mutation: float) -> Tensor:
    """√(1 - m²) z + m ε: m = 0 changes nothing, m = 1 leaves nothing, and Gaussian latents keep their variance."""
    return math.sqrt(1 - mutation**2) * z + mutation * noise


def make_child(decoder: Decoder, parents: Sequence[Tensor], birth: Birth, links: Tensor | None) -> Tensor:
    """The latent (...) of a child, a function of its parents' latents and its record alone; links: the decoder's."""
    generator = torch.Generator().manual_seed(birth.seed)
    z = parents[0]
    if len(parents) > 1:
        z = CROSSOVERS[birth.crossover](parents[0], parents[1], generator, links)
    return mutate(z, decoder.prior(1, generator)[0], birth.mutation)


def breed(
    decoder: Decoder,
    parents: Mapping[str, Tensor],
    children: int = 16,
    *,
    mutation: float = 0.2,
    crossover: str = "mix",
    seed: int = 0,
) -> list[Child]:
    """Children of two of the parents each, in turn of all pairs; of a single parent by mutation alone.

    parents: name -> latent (...) on the CPU. mutation: 0 to 1, see `mutate`. crossover: of CROSSOVERS. The i-th child
    of a seed is the same however many are asked for. Raises RequestError where a number makes no sense.
    """
    if crossover not in CROSSOVERS:
        raise unknown("crossover", crossover, CROSSOVERS)
    if not 0 <= mutation <= 1:
        raise RequestError(f"a mutation of {mutation:g} makes no sense; choose from 0 (none) to 1 (nothing inherited)")
    if children < 1 or not parents:
        raise RequestError(f"{children} children of {len(parents)} parents make no litter; give at least one of each")
    names = list(parents)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]] or [(names[0],)]
    links, litter = linkage(decoder), []
    for i in range(children):
        birth = Birth(pairs[i % len(pairs)], seed * 1_000_003 + i, mutation, crossover)
        z = make_child(decoder, [parents[name] for name in birth.parents], birth, links)
        litter.append(Child(name_of(z), birth, z))
    return litter


def name_of(z: Tensor) -> str:
    """What identifies a latent: ten hexadecimal digits of a sha256 of its numbers."""
    return hashlib.sha256(z.float().contiguous().cpu().numpy().tobytes()).hexdigest()[:10]


def seed_name(seed: int) -> str:
    """The name of a seed's latent among parents."""
    return f"seed-{seed}"


def regrow(decoder: Decoder, individuals: Mapping[str, Mapping[str, Any]], name: str) -> Tensor:
    """The latent (...) of an individual from records alone, down to the seeds that its line began with.

    individuals: name -> the fields of its Birth, as a lineage's JSON holds them. Raises RequestError where the line
    leads to somebody who is neither recorded nor a seed.
    """
    links = linkage(decoder)

    def grown(name: str) -> Tensor:
        if found := SEED.fullmatch(name):
            return from_seeds(decoder, [int(found[1])])[0]
        if name not in individuals:
            raise RequestError(f"the lineage does not tell where {name!r} came from; breed from its latent instead")
        record = individuals[name]
        birth = Birth(tuple(record["parents"]), record["seed"], record["mutation"], record["crossover"])
        return make_child(decoder, [grown(parent) for parent in birth.parents], birth, links)

    return grown(name)
