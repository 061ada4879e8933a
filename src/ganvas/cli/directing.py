"""`ganvas directions`: finding them, what a step along each changes, and the picture of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from .. import latent, media
from ..errors import RequestError
from ..frozen import TrainedGenerator
from .attributing import FIRST, Judged, from_judge, from_table
from .latents import one_label, open_painter, parse_strengths, writing
from .tables import show

COLUMNS, ROWS = 7, 20  # of the picture
PROBES = 8  # latents on which a step is measured


@dataclass(frozen=True)
class Asked:
    """What the command line says of the directions."""

    method: str
    count: int
    layer: int
    samples: int
    seed: int
    strength: str
    label: str | None
    settings: list[str] = field(default_factory=list)
    judged: Judged = field(default_factory=Judged)


def by_weights(generator: TrainedGenerator, asked: Asked) -> latent.Components:
    """SeFa's."""
    return latent.sefa(generator.decoder, generator.latents([0, 1]), asked.count)


def by_features(generator: TrainedGenerator, asked: Asked) -> latent.Components:
    """GANSpace's, of `asked.samples` latents."""
    seeds = range(FIRST, FIRST + asked.samples)
    z, labels = generator.latents(seeds), generator.labels(seeds, asked.label)
    parts = torch.arange(len(z)).tensor_split(-(-len(z) // 64))  # none of a single latent
    y = [
        latent.entering(generator.decoder, z[part], None if labels is None else labels[part], asked.layer)
        for part in parts
    ]
    return latent.principal(torch.cat(y), z, asked.count)


def by_attribute(run: Path, generator: TrainedGenerator, asked: Asked) -> latent.Directions:
    """InterFaceGAN's, with what a step along each does to held-out samples."""
    if asked.judged.labels is not None:
        return from_table(generator, asked.judged.labels)
    return from_judge(run, generator, asked.judged, asked.samples, asked.label)


def unlabelled(run: Path, generator: TrainedGenerator, asked: Asked) -> latent.Directions:
    """Those that need no labels, with how much a step along each changes."""
    found = COMPONENTS[asked.method](generator, asked)
    names = tuple(f"{asked.method}-{i}" for i in range(len(found.vectors)))
    moved = changes(generator, found.vectors, asked.label)
    of = "of the first layer's gain" if asked.method == "sefa" else "of the features' variance"
    rows = zip(names, found.shares.tolist(), moved.tolist(), strict=True)
    show([(name, f"{s:.1%}", f"{m:.2%}") for name, s, m in rows], ("direction", of, "a unit step changes a pixel by"))
    return latent.Directions(found.vectors, names, {"share": found.shares.numpy(), "change": moved.numpy()})


COMPONENTS: dict[str, Callable[[TrainedGenerator, Asked], latent.Components]] = {"sefa": by_weights, "pca": by_features}
METHODS: dict[str, Callable[[Path, TrainedGenerator, Asked], latent.Directions]] = {
    **dict.fromkeys(COMPONENTS, unlabelled),
    "attribute": by_attribute,
}


def write_directions(run: Path, asked: Asked, out: Path) -> None:
    """Find directions, write them with what was measured of them, draw them, and print a table."""
    parse_strengths(asked.strength)
    asked.judged.check(asked.method)
    if out.suffix != ".npz":
        raise RequestError(f"--out {out}: directions are written as .npz, such as directions.npz")
    if min(asked.count, asked.samples - 1) < 1:
        raise RequestError(f"--count {asked.count} of --samples {asked.samples}: give 1 or more, of 2 or more")
    generator = open_painter(run, asked.settings)
    directions = METHODS[asked.method](run, generator, asked)
    keep(generator, directions, asked, out)
    print(f"{len(directions.names)} directions in {out}, drawn in {out.with_suffix('.png')}")


def changes(generator: TrainedGenerator, vectors: Tensor, label: str | None) -> Tensor:
    """How much a unit step along each direction changes a pixel: RMS in shares of the range, (K,)."""
    z = generator.latents(range(PROBES))
    moved = torch.cat([z, *(z + v for v in vectors)])
    labels = generator.labels(range(PROBES), label)
    x = generator.decode(moved, None if labels is None else torch.cat([labels] * (1 + len(vectors))))
    before, *after = x.split(PROBES)
    return torch.stack([(one - before).square().mean().sqrt() / 2 for one in after])


def keep(generator: TrainedGenerator, directions: latent.Directions, asked: Asked, out: Path) -> None:
    """Write the .npz, and the .png beside it: a row a direction, the strengths from left to right."""
    low, high = parse_strengths(asked.strength)
    z, shown = generator.latents([asked.seed])[0], one_label(generator, asked.label, asked.seed)
    strengths = torch.linspace(low, high, COLUMNS).tolist()
    rows = {}
    for name, v in zip(directions.names[:ROWS], directions.vectors, strict=False):
        path = latent.strip(z, v, strengths)
        rows[name] = generator.decode(path, None if shown is None else shown.expand(COLUMNS, *shown.shape))
    with writing(out):
        directions.write(out)
        media.save_png(media.labelled_rows(rows), out.with_suffix(".png"))
