"""Directions with their measurements, and the pictures along them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

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
from ..shown import Shown, picture_html, table_html
from .finding import Measured, draw_samples, find
from .source import Source, open_judge
from .table import read_labels, table_directions

FIRST, HELD_OUT = 10**6, 4 * 10**6  # first seeds of the samples to learn from, and to measure on
KEPT_BACK = 5  # one row of a table in so many is held out
COLUMNS, ROWS = 7, 20  # of the picture
PROBES = 8  # latents on which a step is measured


@dataclass(frozen=True, repr=False)
class Directions(Shown, Vectors):
    """Directions (K, ...) with names, measurements of each, and a picture."""

    header: tuple[str, ...] = ()
    table: list[tuple[str, ...]] = field(default_factory=list)  # a row a direction, under the header
    rows: dict[str, Tensor] = field(default_factory=dict, repr=False)  # name -> images (COLUMNS, C, H, W)

    def picture(self) -> Image:
        """The first ROWS of them, a row each."""
        return media.labelled_rows(self.rows)

    def _repr_html_(self) -> str:
        return picture_html(self.picture()) + table_html(self.header, self.table)

    def save(self, out: str | Path) -> None:
        """Write directions.npz, and a .png of the same name. WorkError where that fails."""
        path = npz_path(out)
        with writing(out):
            self.write(path)
            media.save_png(self.picture(), path.with_suffix(".png"))


def check_counts(method: str, count: int, samples: int, held_out: int) -> None:
    """Raise RequestError where there is too little to learn from or to measure on."""
    least = {"count": 1, "samples": 100 if method == "attribute" else 2, "held_out": 10}
    for name, value in {"count": count, "samples": samples, "held_out": held_out}.items():
        if value < least[name]:
            raise RequestError(f"{value} is too few", f"give {least[name]} or more", field=name)


def by_variance(
    generator: TrainedGenerator, method: str, count: int, layer: int, samples: int, label: int | str | None
) -> Directions:
    """SeFa's or GANSpace's directions, with how much a unit step along each changes."""
    if method == "sefa":
        found, of = latent.sefa(generator.decoder, generator.latents([0, 1]), count), "of the first layer's gain"
    else:
        seeds, of = range(FIRST, FIRST + samples), "of the features' variance"
        z, labels = generator.latents(seeds), generator.labels(seeds, label)
        parts = torch.arange(len(z)).tensor_split(-(-len(z) // 64))  # no part is a single latent
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
    """InterFaceGAN's directions, from a table of labelled seeds or by a judge, with the effect of a step along each."""
    if source.labels is not None:
        return from_table(generator, source.labels)
    judge = yield from open_judge(run, generator, source)
    yield Progress("judging samples")
    learnt = draw_samples(generator, judge, range(FIRST, FIRST + samples), label)
    fresh = draw_samples(generator, judge, range(HELD_OUT, HELD_OUT + held_out), label)
    found = yield from find(generator, judge, learnt, fresh, steer=steer)
    names = [f"{one.direction.attribute}={judge.values[one.direction.attribute][one.direction.value]}" for one in found]
    measured = {
        "strength": [one.strength for one in found],
        "changed": [one.effect.changed for one in found],
        "leakage": [one.effect.leakage for one in found],
        "gained": [one.effect.gained for one in found],
        "accuracy": [one.accuracy for one in found],
        "samples": [one.effect.samples for one in found],
    }
    arrays = {name: np.array(values) for name, values in measured.items()}
    header = ("direction", "step", "changes", "leaks at most", "a unit step", "method", "boundary")
    table = [(name, *table_row(one)) for name, one in zip(names, found, strict=True)]
    return Directions(torch.stack([one.direction.vector for one in found]), tuple(names), arrays, header, table)


def table_row(one: Measured) -> tuple[str, ...]:
    """The effect of a step on held-out samples, in words."""
    effect, leaks = one.effect, "-"
    if effect.leaked:
        leaks = f"{effect.leakage:.0%} ({max(effect.leaked, key=effect.leaked.__getitem__)})"
    unit = f"{effect.gained:+.2f}, {effect.leakage / one.strength:.2f}"
    return f"{one.strength:g}", f"{effect.changed:.0%}", leaks, unit, one.direction.method, f"{one.accuracy:.0%}"


def from_table(generator: TrainedGenerator, file: Path) -> Directions:
    """A direction to each value of each column of a CSV, conditioned on the other columns'.

    One row in KEPT_BACK is held out. Without a judge, the effect of a step is unknown.
    """
    seeds, columns = read_labels(file)
    vectors, names, right = table_directions(generator.latents(seeds), columns, KEPT_BACK)
    header = ("direction", f"right about held-out rows (1 in {KEPT_BACK})")
    table = [(name, f"{share:.0%}") for name, share in zip(names, right, strict=True)]
    return Directions(vectors, tuple(names), {"accuracy": np.array(right)}, header, table)


def draw(
    generator: TrainedGenerator, found: Directions, seed: int, ends: tuple[float, float], label: int | str | None
) -> Directions:
    """The directions, each with a row of pictures of one seed, strengths from left to right."""
    z, labels = generator.latents([seed])[0], generator.labels([seed], label)
    strengths, rows = torch.linspace(*ends, COLUMNS).tolist(), {}
    for name, vector in zip(found.names[:ROWS], found.vectors, strict=False):
        path = latent.move_along(z, vector, strengths)
        rows[name] = generator.decode(path, None if labels is None else labels.expand(COLUMNS, *labels.shape[1:]))
    return replace(found, rows=rows)
