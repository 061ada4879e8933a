"""What an exported file says of its generator, and the inputs of its graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from ..frozen import TrainedGenerator

NAMES = ("z", "label")  # of the inputs


def facts(generator: TrainedGenerator) -> dict[str, Any]:
    """JSON-able: `recipe`, the `shape` of an item and of a `latent`, and the labels.

    A label is a number below `classes`, with their `class_names` where they have any, or a row of 0 and 1 for each of
    `keywords`.
    """
    return {
        "recipe": generator.recipe,
        "class_names": list(generator.class_names),
        "classes": generator.classes,
        "keywords": list(generator.keywords),
        "shape": list(generator.decoder.shape),
        "latent": list(generator.latents([0]).shape[1:]),
    }


def inputs(generator: TrainedGenerator, seeds: Iterable[int]) -> tuple[Tensor, ...]:
    """(z,) of these seeds, (N, ...) float32, or (z, label) where the generator takes labels."""
    seeds = list(seeds)
    z, label = generator.latents(seeds), generator.labels(seeds)
    return (z,) if label is None else (z, label)
