"""A generator as a program of torch.export, which torch alone loads: `torch.export.load("model.pt2").module()(z)`."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from .. import alpha, nets
from ..errors import WorkError
from ..frozen import TrainedGenerator

EXAMPLE = range(2)  # seeds; a batch of one would become a constant


class Traced(nn.Module):
    """The module that is traced: z, and label where there are any, to items in float32."""

    def __init__(self, decoder: nets.Generator) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.decoder(z, label).to(torch.float32)


def facts(generator: TrainedGenerator) -> dict[str, Any]:
    """JSON-able: `recipe`, the `shape` of an item and of a `latent`, and the labels.

    A label is a number below `classes`, with their `class_names` where they have any, or a row of 0 and 1 for each of
    `keywords`. Of images with alpha `alpha` says how they hold it.
    """
    about: dict[str, Any] = {
        "recipe": generator.recipe,
        "class_names": list(generator.class_names),
        "classes": generator.classes,
        "keywords": list(generator.keywords),
        "shape": list(generator.decoder.shape),
        "latent": list(generator.latents([0]).shape[1:]),
    }
    if alpha.has_alpha(generator.decoder.shape):
        about["alpha"] = "the last channel; colour c is premultiplied: (c + 1) / (alpha + 1) is straight, from 0 to 1"
    return about


def inputs(generator: TrainedGenerator, seeds: Iterable[int]) -> tuple[Tensor, ...]:
    """(z,) of these seeds, (N, ...) float32, or (z, label) where the generator takes labels."""
    seeds = list(seeds)
    z, label = generator.latents(seeds), generator.labels(seeds)
    return (z,) if label is None else (z, label)


def trace(generator: TrainedGenerator) -> ExportedProgram:
    """The graph of a generator on the CPU, for any number of latents: inputs `z` and, with labels, `label`."""
    example = inputs(generator, EXAMPLE)
    any_number = {name: {0: Dim("batch", min=1)} for name in ("z", "label")[: len(example)]}
    with quiet():
        # strict: len(z) stays as free as z.shape[0] is
        program = torch.export.export(Traced(generator.decoder), example, dynamic_shapes=any_number, strict=True)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names this machine's folders
    return program


def encode(generator: TrainedGenerator) -> bytes:
    """The content of a .pt2 file, with `facts` as its extra file ganvas.json."""
    buffer = BytesIO()
    with quiet():
        torch.export.save(trace(generator), buffer, extra_files={"ganvas.json": json.dumps(facts(generator))})
    return buffer.getvalue()


def reopen(data: bytes) -> Callable[..., Tensor]:
    """A .pt2 file as a function: (z,) or (z, label) -> items."""
    with quiet():
        return torch.export.load(BytesIO(data)).module()


@contextmanager
def tracing(recipe: str) -> Iterator[None]:
    """Raise a WorkError, in one sentence, where torch cannot turn the generator into a graph."""
    try:
        yield
    except RuntimeError as error:
        raise WorkError(
            f"torch cannot turn this {recipe!r} generator into a graph ({str(error).splitlines()[0]}); where it draws "
            "random numbers of its own, as the sampler ancestral does, choose another: sampler=dpm++"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Hide torch's own warnings: deprecations, and extensions that nothing here uses."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
