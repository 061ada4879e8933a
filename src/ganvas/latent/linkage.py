"""Linkage: which numbers of a latent depend on each other in the prior."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Decoder

DRAWS = 4  # latents for each of their numbers, and at least LEAST
LEAST = 1024
RIDGE = 1e-3  # of a variance, added to the diagonal: exact dependencies have no inverse
BOUND = 0.5  # the partial correlation from which two numbers are linked


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
