"""Latents of any `Decoder`: where seeds lie, ways between them, directions with a meaning, and their children.

A latent is whatever one item of `Decoder.prior` is: a vector, a grid, or noise of an image's shape. All of this knows
nothing of what they decode to.
"""

from __future__ import annotations

from .breeding import CROSSOVERS, Birth, Child, breed, regrow
from .directions import Boundary, Components, condition, entering, logistic, principal, ridge, sefa
from .interpolation import EASINGS, INTERPOLATIONS, lerp, slerp
from .lineage import Individual, find_parents, lineage_of
from .linkage import linkage
from .saved import Directions, find_directions, gather_latents, read_directions, read_latents, strip, write_latents
from .seeds import from_seeds, parse_seeds, reject, truncate
from .walks import frame_counts, path, tour, walk

__all__ = [
    "CROSSOVERS",
    "EASINGS",
    "INTERPOLATIONS",
    "Birth",
    "Boundary",
    "Child",
    "Components",
    "Directions",
    "Individual",
    "breed",
    "condition",
    "entering",
    "find_directions",
    "find_parents",
    "frame_counts",
    "from_seeds",
    "gather_latents",
    "lerp",
    "lineage_of",
    "linkage",
    "logistic",
    "parse_seeds",
    "path",
    "principal",
    "read_directions",
    "read_latents",
    "regrow",
    "reject",
    "ridge",
    "sefa",
    "slerp",
    "strip",
    "tour",
    "truncate",
    "walk",
    "write_latents",
]
