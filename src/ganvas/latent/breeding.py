"""Breeding: children of latents by crossover and mutation. A child's record and its parents' latents reproduce it.

Linkage: the numbers of a latent that depend on each other in the prior come from one parent.
"""

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
from .seeds import from_seeds

SEED = re.compile(r"seed-(\d{1,18})")  # the name of a seed's latent among parents

DRAWS = 4  # latents for each of their numbers, and at least LEAST
LEAST = 1024
RIDGE = 1e-3  # of a variance, added to the diagonal: exact dependencies have no inverse
BOUND = 0.5  # the partial correlation from which two numbers are linked


class Birth(NamedTuple):
    """The record of a child: with its parents' latents, all that reproduces it."""

    parents: tuple[str, ...]  # one name or two
    seed: int
    mutation: float
    crossover: str


class Child(NamedTuple):
    """A child with its record and its latent (...)."""

    name: str
    birth: Birth
    latent: Tensor


def mix(
    a: Tensor, b: Tensor, generator: torch.Generator, links: Tensor | None = None, share: float | None = None
) -> Tensor:
    """Each number from one parent or the other; in grids (C, H, W) each place, with all its channels.

    links: the group of each number of a vector, see `linkage`; a group comes from one parent.
    share: how many come from the first. By default it is drawn too, so that some children resemble one parent and some
    both. Numbers that both parents drew from a Gaussian stay Gaussian.
    """
    share = float(torch.rand((), generator=generator)) if share is None else share
    coins = torch.rand(a.shape[-2:] if a.ndim > 1 else a.shape, generator=generator) < share
    return torch.where(coins if links is None else coins[links], a, b)


def blend(a: Tensor, b: Tensor, generator: torch.Generator, links: Tensor | None = None) -> Tensor:
    """A random point on the arc between the parents."""
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
    """Children of each pair of parents in turn; of a single parent, by mutation alone.

    parents: name -> latent (...) on the CPU. mutation: 0 to 1, see `mutate`. crossover: of CROSSOVERS. The i-th child
    of a seed is the same however many there are. Raises RequestError for an impossible number or an unknown crossover.
    """
    if crossover not in CROSSOVERS:
        raise unknown("crossover", crossover, CROSSOVERS, field="crossover")
    if not 0 <= mutation <= 1:
        raise RequestError(f"{mutation:g} is out of range", "give 0 (all inherited) to 1 (nothing)", field="mutation")
    for field, count in (("children", children), ("parents", len(parents))):
        if count < 1:
            raise RequestError(f"{count} is too few", "give 1 or more", field=field)
    names = list(parents)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]] or [(names[0],)]
    links, litter = linkage(decoder), []
    for i in range(children):
        birth = Birth(pairs[i % len(pairs)], seed * 1_000_003 + i, mutation, crossover)
        z = make_child(decoder, [parents[name] for name in birth.parents], birth, links)
        litter.append(Child(name_of(z), birth, z))
    return litter


def linkage(decoder: Decoder) -> Tensor | None:
    """The group of each number of a vector latent, (D,) int64; a crossover takes a group whole, from one parent.

    Numbers are linked where one follows from the other once all else is known, such as the weights of words for a
    colour, of which every item has exactly one: half of one parent's colour and half of the other's would be two
    colours, or none. Independent numbers are not linked. The measure is the partial correlation, from the inverse of
    the correlations of the prior's latents; links chain up to groups, as in genetic algorithms that learn linkage
    (Harik 1999). None where latents are grids, whose cells are crossed whole.
    """
    generator = torch.Generator().manual_seed(0)
    shape = decoder.prior(1, generator).shape[1:]
    if len(shape) != 1:
        return None
    (size,) = shape
    z = decoder.prior(max(LEAST, DRAWS * size), generator)
    z = (z - z.mean(0)).double()
    z = z / z.std(0).clamp(min=1e-6)
    precision = torch.linalg.inv(torch.cov(z.T) + RIDGE * torch.eye(size, dtype=z.dtype))
    scale = precision.diagonal().rsqrt()
    together = (scale * precision * scale[:, None]).abs() > BOUND  # (D, D); every number is linked with itself
    groups = torch.arange(size)
    while True:
        least = torch.where(together, groups, size).amin(1)
        if torch.equal(least, groups):
            return groups
        groups = least


def linked(decoder: Decoder) -> Tensor:
    """Whether each number of a vector latent is in a group with others, (D,) bool; False, () bool, for a grid."""
    groups = linkage(decoder)
    return torch.tensor(False) if groups is None else groups.bincount()[groups] > 1


def name_of(z: Tensor) -> str:
    """The name of a latent: ten hexadecimal digits of a sha256 of its numbers."""
    return hashlib.sha256(z.float().contiguous().cpu().numpy().tobytes()).hexdigest()[:10]


def regrow(decoder: Decoder, individuals: Mapping[str, Mapping[str, Any]], name: str) -> Tensor:
    """The latent (...) of an individual from records alone, beginning with the seeds of its first ancestors.

    individuals: name -> the fields of its Birth, as in lineage.json. Raises RequestError where an ancestor is neither
    recorded nor a seed.
    """
    links = linkage(decoder)

    def grown(name: str) -> Tensor:
        if found := SEED.fullmatch(name):
            return from_seeds(decoder, [int(found[1])])[0]
        if name not in individuals:
            raise RequestError(f"the lineage does not contain {name!r}", "breed from its latent instead")
        record = individuals[name]
        birth = Birth(tuple(record["parents"]), record["seed"], record["mutation"], record["crossover"])
        return make_child(decoder, [grown(parent) for parent in birth.parents], birth, links)

    return grown(name)
