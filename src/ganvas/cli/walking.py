"""`ganvas walk`: keyframes, the way between them, and the film of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor

from .. import film, latent
from ..errors import RequestError
from ..frozen import TrainedGenerator
from .latents import one_label, open_direction, open_painter, writing
from .sampling import parse_seeds
from .watching import watched

DEFAULT = "0-4"  # seeds


@dataclass(frozen=True)
class Walk:
    """What the command line says of a walk."""

    seeds: str | None
    latents: list[Path]
    seconds: str
    fps: float
    easing: str
    loop: bool
    interpolation: str
    through: str | None
    strength: float
    grid: str

    def keyed(self) -> list[int]:
        """The seeds among the keyframes."""
        return parse_seeds(self.seeds or DEFAULT) if self.seeds or not self.latents else []


def write_walk(
    run: Path, walk: Walk, label: str | None, truncation: float, settings: list[str] | None, out: str
) -> None:
    """Film the walk into `out`."""
    seeds, seconds, (columns, rows) = walk.keyed(), parse_seconds(walk.seconds), parse_grid(walk.grid)
    film.check(out, walk.fps)
    generator = open_painter(run, settings)
    shown = one_label(generator, label, seeds[0] if seeds else 0)
    keys = keyframes(generator, walk, seeds, truncation, columns * rows)
    ways = [
        latent.path(
            cell,
            seconds,
            walk.fps,
            easing=walk.easing,
            interpolation="lerp" if walk.through else walk.interpolation,
            loop=walk.loop,
        )
        for cell in keys
    ]
    count = len(ways[0])
    latents = torch.stack(ways, 1).flatten(0, 1)
    frames = latent.walk(generator.decoder, latents, label=shown, batch=generator.batch, device=generator.device)
    with writing(out):
        film.write(watched(sheets(frames, columns, columns * rows), count), out, walk.fps)
    print(f"{count:,} frames, {count / walk.fps:g} seconds, in {out}")


def keyframes(generator: TrainedGenerator, walk: Walk, seeds: list[int], truncation: float, cells: int) -> list[Tensor]:
    """The keyframes of each cell of the grid, (K, ...) each."""
    like = generator.latents([0])
    found = [generator.latents(seeds, truncation)] if seeds else []
    keys = torch.cat([*found, *(latent.read_latents(file, like) for file in walk.latents)])
    if walk.through:
        directions, which = open_direction(walk.through, generator)
        count = len(directions.names) if which is None else directions.index(which) + 1
        return [latent.tour(origin, directions.vectors[:count], walk.strength) for origin in keys[:cells]]
    if len(keys) % cells:
        raise RequestError(
            f"{len(keys)} keyframes cannot be shared out among the {cells} walks of --grid {walk.grid}; give a "
            f"multiple of {cells}, such as --seeds 0-{5 * cells - 1}"
        )
    return list(keys.chunk(cells))


def sheets(frames: Iterator[Tensor], columns: int, cells: int) -> Iterator[Image]:
    """The frames of all walks, which come in turn, put side by side."""
    while together := list(islice(frames, cells)):
        yield film.picture(torch.stack(together), columns)


def parse_seconds(text: str) -> float | list[float]:
    """'2' -> 2.0, for each leg; '2,1.5' -> [2.0, 1.5], one for each."""
    try:
        each = [float(part) for part in text.split(",")]
    except ValueError:
        raise RequestError(f"--seconds {text!r}: write a number, or one for each leg such as 2,1,3") from None
    return each[0] if len(each) == 1 else each


def parse_grid(text: str) -> tuple[int, int]:
    """'3x2' -> (3, 2): columns and rows."""
    found = re.fullmatch(r"([1-9]\d?)[x×]([1-9]\d?)", text.strip())
    if not found:
        raise RequestError(f"--grid {text!r}: write COLUMNSxROWS, such as 3x2")
    return int(found[1]), int(found[2])
