"""`ganvas edit`: a latent moved along a direction, as a strip or a film."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .. import film, latent, media
from ..errors import RequestError
from ..frozen import TrainedGenerator
from ..inversion import Search
from .latents import one_label, open_direction, open_painter, parse_strengths, writing
from .projecting import Wanted, nearest
from .walking import watched

STRIP, FILM = 7, 101  # pictures


def write_edit(
    run: Path,
    direction: str,
    seed: int | None,
    image: Path | None,
    latents: Path | None,
    strength: str,
    steps: int | None,
    fps: float,
    label: str | None,
    truncation: float,
    settings: list[str] | None,
    out: str,
) -> None:
    """Draw z + i·v for strengths i from one end to the other; a film also comes back."""
    low, high = parse_strengths(strength)
    still = Path(out).suffix.lower() == ".png"
    if not still:
        film.check(out, fps)
    if steps is not None and steps < 2:
        raise RequestError(f"--steps {steps}: an edit needs two pictures or more")
    generator = open_painter(run, settings)
    directions, which = open_direction(direction, generator)
    row = directions.index(which or "0")
    z, shown = origin(run, generator, (seed, image, latents), label, truncation)
    i = torch.linspace(low, high, steps or (STRIP if still else FILM)).tolist()
    path = latent.strip(z, directions.vectors[row], i if still else i + i[-2:0:-1])
    frames = latent.walk(generator.decoder, path, label=shown, batch=generator.batch, device=generator.device)
    with writing(out):
        if still:
            media.save_png(media.grid(torch.stack(list(frames)), columns=len(i)), Path(out))
        else:
            film.write(watched((film.picture(frame[None]) for frame in frames), len(path)), out, fps)
    print(f"{directions.names[row]} from {low:g} to {high:g}, {len(path)} pictures, in {out}")


def origin(
    run: Path,
    generator: TrainedGenerator,
    named: tuple[int | None, Path | None, Path | None],
    label: str | None,
    psi: float,
) -> tuple[Tensor, Tensor | None]:
    """The latent (...) to edit, of a seed, an image or a file, and what all of its pictures show."""
    seed, image, latents = named
    if sum(one is not None for one in named) != 1:
        raise RequestError("name what to edit, and one thing only: --seed N, --image IMAGE or --latents FILE")
    if image is not None:
        found = nearest(run, generator, image, Wanted(Search(), label=label))
        return found.latents[0], None if found.labels is None else found.labels[0]
    shown = one_label(generator, label, seed or 0)
    if latents is not None:
        return latent.read_latents(latents, generator.latents([0]))[0], shown
    return generator.latents([seed or 0], psi)[0], shown
