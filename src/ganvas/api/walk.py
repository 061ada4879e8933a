"""Film a way through latent space."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal

import torch
from PIL.Image import Image
from torch import Tensor

from .. import film, latent
from ..errors import RequestError, writing
from ..film import encode_clip
from ..frozen import TrainedGenerator
from ..progress import Progress, Steps, drained
from ..shown import clip_html
from .arguments import asked_label, image_generator_of, one_label, parse_grid
from .types import Device, DirectionLike, Durations, Grid, Label, Latents, Options, Out, RunLike, Seeds
from .verb import Verb

KEYFRAMES = "0-4"  # seeds


@dataclass(eq=False, repr=False)
class Film:
    """A film whose frames are drawn as they are needed; `save` encodes them one by one."""

    draw: Callable[[], Iterator[Image]]
    count: int  # of frames
    fps: float
    latents: Tensor  # (count, ...), or of a grid of walks (count · cells, ...) frame by frame
    shape: tuple[int, ...] = ()  # of an item

    def __len__(self) -> int:
        return self.count

    def frames(self) -> Iterator[Image]:
        """The frames in order."""
        return self.draw()

    def saving(self, out: Out) -> Steps[None]:
        """Write the film, with a report after each frame. RequestError for another suffix, WorkError where it fails."""
        yield from film.losses(out, self.shape)
        with writing(out):
            for done in film.write(self.draw(), out, self.fps):
                yield Progress("filming", done, self.count)

    save = drained(saving)

    def __repr__(self) -> str:
        return f"<Film of {self.count:,} frames, {self.fps:g} a second>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": clip_html(*encode_clip(list(self.draw()), self.fps)), "text/plain": repr(self)}


@Verb
def walk(
    run: RunLike,
    *,
    seeds: Annotated[Seeds | None, "The keyframes; by default 0-4."] = None,
    latents: Annotated[Latents | None, "More keyframes: .npz files of project or breed."] = None,
    seconds: Annotated[Durations, "Of each segment; or one for each, such as 2,1,3."] = 2.0,
    fps: float = 25.0,
    easing: Annotated[Literal["linear", "smooth", "sin6"], "Easing within a segment; sin6: sin(1.5 t)^6."] = "linear",
    loop: Annotated[bool, "Go back to the first keyframe at the end."] = True,
    interpolation: Annotated[
        Literal["slerp", "lerp"], "slerp: on arcs, right for Gaussian latents; lerp: straight."
    ] = "slerp",
    through: Annotated[
        DirectionLike | None, "FILE[:K]: from the first keyframe along the first K directions and back."
    ] = None,
    strength: Annotated[float, "How far `through` goes."] = 3.0,
    grid: Annotated[Grid, "COLUMNSxROWS of walks, which share the keyframes."] = "1x1",
    label: Label | None = None,
    prompt: str | None = None,
    truncation: float = 1.0,
    options: Options | None = None,
    device: Device = "auto",
    out: Annotated[Out | None, "walk.mp4, .gif, .webp, .webm, .mov, or a directory for numbered PNGs."] = None,
    progress: bool = True,
) -> Steps[Film]:
    """Film a way through latent space, from keyframe to keyframe."""
    columns, rows = parse_grid(grid)
    if out is not None:
        film.check(out, fps)
    chosen = latent.parse_seeds(seeds or KEYFRAMES) if seeds is not None or latents is None else []
    generator = image_generator_of(run, device, options)
    found = [generator.latents(chosen, truncation)] if chosen else []
    found += [] if latents is None else [latent.gather_latents(latents, generator.latents([0]))]
    keys = torch.cat(found)
    if through is None:
        cells, between = share_out(keys, columns * rows), interpolation
    else:
        cells, between = tours(generator, keys[: columns * rows], through, strength), "lerp"
    ways = [latent.path(c, durations(seconds), fps, easing=easing, interpolation=between, loop=loop) for c in cells]
    z = torch.stack(ways, 1).flatten(0, 1)
    shown = one_label(generator, asked_label(label, prompt), chosen[0] if chosen else 0)
    walked = film_of(generator, z, shown, fps, columns, columns * rows)
    if out is not None:
        yield from walked.saving(out)
    return walked


def film_of(
    generator: TrainedGenerator, z: Tensor, label: Tensor | None, fps: float, columns: int = 1, cells: int = 1
) -> Film:
    """The film of latents (F · cells, ...), `cells` of them side by side in each frame."""

    def draw() -> Iterator[Image]:
        frames = latent.walk(generator.decoder, z, label=label, batch=generator.batch, device=generator.device)
        while together := list(islice(frames, cells)):
            yield film.picture(torch.stack(together), columns)

    return Film(draw, len(z) // cells, fps, z, generator.decoder.shape)


def share_out(keys: Tensor, cells: int) -> list[Tensor]:
    """The keyframes of each cell of a grid, (K, ...) each."""
    if len(keys) % cells:
        raise RequestError(
            f"{len(keys)} keyframes cannot be shared among {cells} walks",
            f"give a multiple of {cells}, such as `seeds` 0-{5 * cells - 1}",
            field="grid",
        )
    return list(keys.chunk(cells))


def tours(generator: TrainedGenerator, origins: Tensor, through: DirectionLike, strength: float) -> list[Tensor]:
    """The keyframes of tours from each origin along the first K directions."""
    directions, which = latent.find_directions(through, generator.latents([0]))
    count = len(directions.names) if which is None else directions.index(which) + 1
    return [latent.tour(origin, directions.vectors[:count], strength) for origin in origins]


def durations(seconds: Durations) -> float | list[float]:
    """'2' -> 2.0, for each segment; '2,1.5' -> [2.0, 1.5], one for each."""
    if isinstance(seconds, int | float):
        return float(seconds)
    try:
        each = [float(part) for part in (seconds.split(",") if isinstance(seconds, str) else seconds)]
    except ValueError:
        raise RequestError(
            f"{seconds!r} is not a duration", "write a number, or one for each segment such as 2,1,3", field="seconds"
        ) from None
    return each[0] if len(each) == 1 else each
