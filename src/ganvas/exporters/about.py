"""What an exported file tells of its generator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .. import nets
from ..frozen import TrainedGenerator

NAMES = ("z", "label")  # of the inputs


def about(generator: TrainedGenerator) -> dict[str, Any]:
    """JSON-able: `recipe`, the `shape` of an item and of a `latent`, and what a label is one of.

    That is a number below `classes`, which `class_names` may name, or a row of 0 and 1 for each of `keywords`.
    """
    decoder = generator.decoder
    return {
        "recipe": generator.recipe,
        "class_names": list(generator.class_names),
        "classes": generator.classes,
        "keywords": list(generator.keywords),
        "shape": list(decoder.shape),
        "latent": list(generator.latents([0]).shape[1:]),
    }


def inputs(generator: TrainedGenerator, seeds: Iterable[int]) -> tuple[Tensor, ...]:
    """(z,) of these seeds, (N, ...) float32, or (z, label) where the generator takes labels."""
    seeds = list(seeds)
    z, label = generator.latents(seeds), generator.labels(seeds)
    return (z,) if label is None else (z, label)


class Drawing(nn.Module):
    """A decoder as a graph has it: z, and label where there are classes, to items in float32."""

    def __init__(self, decoder: nets.Generator) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.decoder(z, label).to(torch.float32)
