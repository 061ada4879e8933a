"""Directions with what was measured of each, and what a picture shows along them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from .. import latent, media
from ..errors import RequestError, writing
from ..frozen import TrainedGenerator
from ..latent.saved import Directions as Vectors
from ..latent.saved import npz_path
from ..progress import Progress, Steps
from ..shown import Shown
from .finding import Chosen, find, named, sampled
from .source import Source, open_judge
from .table import read_labels, table_directions

FIRST, HELD_OUT = 10**6, 4 * 10**6  # seeds of the samples that directions are learnt from, and measured on
KEPT_BACK = 5  # of a table's rows one in so many is not learnt from
COLUMNS, ROWS = 7, 20  # of the picture
PROBES = 8  # latents on which a step is measured


@dataclass(frozen=True)
class Directions(Vectors, Shown):
    """Directions (K, ...) with their names, what was measured of each, and what a picture shows along them."""

    header: tuple[str, ...] = ()
    table: list[tuple[str, ...]] = field(default_factory=list)  # a row a direction, under the header
    rows: dict[str, Tensor] = field(default_factory=dict, repr=False)  # name -> images (COLUMNS, C, H, W)

    def picture(self) -> Image:
        """The first ROWS of them, a row each."""
        return media.labelled_rows(self.rows)

    def save(self, out: str | Path) -> None:
        """Write directions.npz, and a .png of the same name. WorkError where that fails."""
        path = npz_path(out)
        with writing(out):
            self.write(path)
            media.save_png(self.picture(), path.with_suffix(".png"))


def check_counts(method: str, count: int, samples: int, held_out: int) -> None:
    """Raise RequestError where there is too little to learn from or to measure on."""
    if count < 1:
        raise RequestError(f"{count} is too few", "give 1 or more", field="count")
    least = 100 if method == "attribute" else 2
    if samples < least:
        raise RequestError(f"{samples} is too few", f"give {least} or more", field="samples")
    if held_out < 10:
        raise RequestError(f"{held_out} is too few", "give 10 or more", field="held_out")


def by_variance(
    generator: TrainedGenerator, method: str, count: int, layer: int, samples: int, label: int | str | None
) -> Directions:
    """SeFa's directions or GANSpace's, with how much a unit step along each changes."""
    if method == "sefa":
        found, of = latent.sefa(generator.decoder, generator.latents([0, 1]), count), "of the first layer's gain"
    else:
        seeds, of = range(FIRST, FIRST + samples), "of the features' variance"
        z, labels = generator.latents(seeds), generator.labels(seeds, label)
        parts = torch.arange(len(z)).tensor_split(-(-len(z) // 64))  # none of a single latent
        y = [
            latent.layer_inputs(generator.decoder, z[part], None if labels is None else labels[part], layer)
            for part in parts
        ]
        found = latent.principal(torch.cat(y), z, min(count, samples - 1))
    names = tuple(f"{method}-{i}" for i in range(len(found.vectors)))
    change = changes(generator, found.vectors, label)
    rows = zip(names, found.shares.tolist(), change.tolist(), strict=True)
    table = [(name, f"{share:.1%}", f"{moved:.2%}") for name, share, moved in rows]
    measured = {"share": found.shares.numpy(), "change": change.numpy()}
    return Directions(found.vectors, names, measured, ("direction", of, "a unit step changes a pixel by"), table)


def changes(generator: TrainedGenerator, vectors: Tensor, label: int | str | None) -> Tensor:
    """How much a unit step along each direction changes a pixel: RMS in shares of the range, (K,)."""
    z, labels = generator.latents(range(PROBES)), generator.labels(range(PROBES), label)
    before, found = generator.decode(z, labels), []
    for vector in vectors:
        found.append((generator.decode(z + vector, labels) - before).square().mean().sqrt() / 2)
    return torch.stack(found)


def by_attribute(
    run: Path | None,
    generator: TrainedGenerator,
    source: Source,
    samples: int,
    held_out: int,
    steer: bool,
    label: int | str | None,
) -> Steps[Directions]:
    """InterFaceGAN's directions: from a table of labelled seeds, or by a judge, with what a step along each does."""
    if source.labels is not None:
        return from_table(generator, source.labels)
    judge = yield from open_judge(run, generator, source)
    yield Progress("judging samples")
    learnt = sampled(generator, judge, range(FIRST, FIRST + samples), label)
    fresh = sampled(generator, judge, range(HELD_OUT, HELD_OUT + held_out), label)
    chosen = yield from find(generator, judge, learnt, fresh, steer=steer)
    names = tuple(named(judge, [one.found for one in chosen]))
    vectors = torch.stack([one.found.vector for one in chosen])
    header = ("direction", "step", "changes", "leaks at most", "a unit step", "way", "boundary")
    return Directions(vectors, names, measured(chosen), header, [table_row(*pair) for pair in zip(names, chosen)])  # noqa: B905


def table_row(name: str, one: Chosen) -> tuple[str, ...]:
    """What a step along a direction does to held-out samples."""
    effect, worst = one.effect, max(one.effect.leaked.items(), key=lambda pair: pair[1], default=("", 0.0))
    leaks = f"{worst[1]:.0%} ({worst[0]})" if worst[0] else "-"
    per = f"{effect.gained:+.2f}, {effect.leakage / one.strength:.2f}"
    return name, f"{one.strength:g}", f"{effect.changed:.0%}", leaks, per, one.found.way, f"{one.accuracy:.0%}"


def measured(chosen: Sequence[Chosen]) -> dict[str, Any]:
    """What was measured of each direction, (K,) each, for the file."""
    return {
        "strength": np.array([one.strength for one in chosen]),
        "changed": np.array([one.effect.changed for one in chosen]),
        "leakage": np.array([one.effect.leakage for one in chosen]),
        "gained": np.array([one.effect.gained for one in chosen]),
        "accuracy": np.array([one.accuracy for one in chosen]),
        "samples": np.array([one.effect.samples for one in chosen]),
    }


def from_table(generator: TrainedGenerator, file: Path) -> Directions:
    """A direction to each value of each column of a CSV, conditioned on the other columns'.

    One row in KEPT_BACK is not learnt from. Without a judge of pictures, what a step changes is not known.
    """

    seeds, columns = read_labels(file)
    vectors, names, right = table_directions(generator.latents(seeds), columns, KEPT_BACK)
    header = ("direction", f"right about one row in {KEPT_BACK} that it did not learn from")
    table = [(name, f"{share:.0%}") for name, share in zip(names, right, strict=True)]
    return Directions(vectors, tuple(names), {"accuracy": np.array(right)}, header, table)


def draw(
    generator: TrainedGenerator, found: Directions, seed: int, ends: tuple[float, float], label: int | str | None
) -> Directions:
    """The directions with a row of pictures each: one seed, the strengths from left to right."""
    z, labels = generator.latents([seed])[0], generator.labels([seed], label)
    strengths, rows = torch.linspace(*ends, COLUMNS).tolist(), {}
    for name, vector in zip(found.names[:ROWS], found.vectors, strict=False):
        path = latent.move_along(z, vector, strengths)
        rows[name] = generator.decode(path, None if labels is None else labels.expand(COLUMNS, *labels.shape[1:]))
    return replace(found, rows=rows)
