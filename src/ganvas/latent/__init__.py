"""Latents of any `Decoder`: where seeds lie, ways between them, directions with a meaning, and their children.

A latent is whatever one item of `Decoder.prior` is: a vector, a grid, or noise of an image's shape. All of this knows
nothing of what they decode to.
"""

from __future__ import annotations

from .breeding import CROSSOVERS, Birth, Child, breed, regrow
from .interpolation import EASINGS, INTERPOLATIONS, lerp, slerp
from .saved import Directions, read_directions, read_latents, strip, write_latents
from .seeds import from_seeds, reject, truncate
from .walks import frame_counts, path, tour, walk

__all__ = [
    "CROSSOVERS",
    "EASINGS",
    "INTERPOLATIONS",
    "Birth",
    "Child",
    "Directions",
    "breed",
    "frame_counts",
    "from_seeds",
    "lerp",
    "path",
    "read_directions",
    "read_latents",
    "regrow",
    "reject",
    "slerp",
    "strip",
    "tour",
    "truncate",
    "walk",
    "write_latents",
]
