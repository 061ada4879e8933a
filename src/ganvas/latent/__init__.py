"""Latents of any `Decoder`: from seeds, along walks, in directions with a meaning, and bred from each other.

A latent is one item of `Decoder.prior`: a vector, a grid, or noise of an image's shape. Nothing here knows what latents
decode to.
"""

from __future__ import annotations

from .breeding import CROSSOVERS, Child, breed, linkage, linked, regrow
from .directions import condition, layer_inputs, logistic, principal, ridge, sefa
from .interpolation import EASINGS, INTERPOLATIONS, lerp, slerp
from .lineage import Individual, find_parents, lineage_of
from .saved import Directions, find_directions, gather_latents, move_along, read_directions, read_latents, write_latents
from .seeds import from_seeds, parse_seeds, reject, truncate
from .walks import path, tour, walk

__all__ = ["CROSSOVERS", "EASINGS", "INTERPOLATIONS", "Child", "Directions", "Individual", "breed", "condition"]
__all__ += ["find_directions", "find_parents", "from_seeds", "gather_latents", "layer_inputs", "lerp", "lineage_of"]
__all__ += ["linkage", "linked", "logistic", "move_along", "parse_seeds", "path", "principal", "read_directions"]
__all__ += ["read_latents", "regrow", "reject", "ridge", "sefa", "slerp", "tour", "truncate", "walk", "write_latents"]
