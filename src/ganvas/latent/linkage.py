"""Which numbers of a latent only make sense together, as the decoder's own prior tells."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Decoder

DRAWS = 4  # latents for each of their numbers, and at least LEAST
LEAST = 1024
RIDGE = 1e-3  # of a variance: what an exact dependency is taken to leave free
BOUND = 0.5  # the partial correlation from which two numbers are linked


def linkage(decoder: Decoder) -> Tensor | None:
    """The group of each number of a vector latent, (D,) int64: a crossover takes a group from one parent, as a whole.

    Numbers are linked where either follows from the other once all else is known: weights of words of which every
    item has exactly one, such as its colour, but no numbers that are drawn by themselves. Half of one parent's colour
    and half of the other's would be two colours, or none. What is measured is the partial correlation, from the inverse
    of the correlations of latents of the prior; links chain up to groups, as in the genetic algorithms that learn
    linkage (Harik 1999). None where latents are grids, whose cells are crossed whole.
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
    """Which numbers of a vector latent are in a group with others, (D,) bool; of a grid none, () bool."""
    groups = linkage(decoder)
    return torch.tensor(False) if groups is None else groups.bincount()[groups] > 1
