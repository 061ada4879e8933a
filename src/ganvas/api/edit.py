"""Move a latent along a direction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from PIL.Image import Image
from torch import Tensor

from .. import film, latent, media
from ..data.pictures import name_of, read_pictures
from ..errors import RequestError, writing
from ..frozen import TrainedGenerator
from ..inversion import Search
from ..latent import gather_latents
from ..progress import Note, Steps, drained
from ..shown import Shown
from .arguments import asked_label, image_generator_of, one_label, parse_strengths
from .project import searching
from .types import Device, DirectionLike, Label, Latents, Options, Out, Picture, RunLike, Strength
from .verb import Verb
from .walk import Film, film_of

STRIP, FILM = 7, 101  # pictures


@dataclass(eq=False, repr=False)
class Edit(Shown):
    """A latent at several strengths of a direction, as a strip or a film."""

    name: str  # of the direction
    strengths: list[float]
    film: Film  # its frames; a strip shows them side by side
    generator: TrainedGenerator
    label: Tensor | None

    @property
    def latents(self) -> Tensor:
        """(N, ...), one a strength."""
        return self.film.latents

    @property
    def images(self) -> Tensor:
        """(N, C, H, W) in [-1, 1], one a strength."""
        labels = None if self.label is None else self.label.expand(len(self.latents), *self.label.shape)
        return self.generator.decode(self.latents, labels)

    def picture(self) -> Image:
        """All of them in a row."""
        return media.grid(self.images, columns=len(self.strengths))

    def saving(self, out: Out) -> Steps[None]:
        """Write what `out` names. WorkError where that fails."""
        if not is_strip(out):
            yield from self.film.saving(out)
            return
        with writing(out):
            media.save_png(self.picture(), Path(out))

    save = drained(saving)


def is_strip(out: Out | None) -> bool:
    """Whether an edit is to be a picture, and not a film."""
    return out is None or Path(out).suffix.lower() == ".png"


@Verb
def edit(
    run: RunLike,
    *,
    direction: Annotated[DirectionLike, "FILE[:K]: directions.npz, and which of them by number or name."],
    seed: Annotated[int | None, "What to edit."] = None,
    image: Annotated[Picture | None, "Or a picture, which is projected first."] = None,
    latents: Annotated[Latents | None, "Or the first latent of an .npz that project or breed wrote."] = None,
    strength: Annotated[Strength, "FROM:TO, in deviations of the latent."] = "-3:3",
    steps: Annotated[int | None, "Pictures; by default 7 on a strip, 101 in a film, which also comes back."] = None,
    fps: float = 25.0,
    label: Label | None = None,
    prompt: str | None = None,
    truncation: float = 1.0,
    options: Options | None = None,
    device: Device = "auto",
    out: Annotated[Out | None, "strip.png, or a film: .mp4, .gif, .webp, .webm, .mov, a directory."] = None,
    progress: bool = True,
) -> Steps[Edit]:
    """Move a latent along a direction, and see what changes."""
    low, high = parse_strengths(strength)
    still = is_strip(out)
    if out is not None and not still:
        film.check(out, fps)
    if steps is not None and steps < 2:
        raise RequestError(f"{steps} is too few", "an edit needs two pictures or more", field="steps")
    generator = image_generator_of(run, device, options)
    directions, which = latent.find_directions(direction, generator.latents([0]))
    row = directions.index(which or "0")
    z, shown = yield from origin(run, generator, seed, image, latents, asked_label(label, prompt), truncation)
    i = torch.linspace(low, high, steps or (STRIP if still else FILM)).tolist()
    i = i if still else i + i[-2:0:-1]
    path = latent.move_along(z, directions.vectors[row], i)
    edited = Edit(directions.names[row], i, film_of(generator, path, shown, fps), generator, shown)
    if out is not None:
        yield from edited.saving(out)
    return edited


def origin(
    run: RunLike,
    generator: TrainedGenerator,
    seed: int | None,
    image: Picture | None,
    latents: Latents | None,
    label: Label | None,
    truncation: float,
) -> Steps[tuple[Tensor, Tensor | None]]:
    """The latent (...) of a seed, an image or a file, and the label that all of its pictures show."""
    if sum(one is not None for one in (seed, image, latents)) != 1:
        raise RequestError("there is not exactly one thing to edit", "name `seed`, `image` or `latents`")
    if image is not None:
        target = read_pictures([image], generator.decoder.shape, "image")
        found = yield from searching(run, generator, target, Search(), "auto", label)
        yield Note(f"{name_of(image)} is found; a pixel differs by {found.distance[0]:.4f} of the range")
        return found.latents[0], None if found.labels is None else found.labels[0]
    shown = one_label(generator, label, seed or 0)
    if latents is not None:
        return gather_latents(latents, generator.latents([0]))[0], shown
    return generator.latents([seed or 0], truncation)[0], shown
