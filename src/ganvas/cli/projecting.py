"""`ganvas project`: the latents of pictures, how near they come, and the film of the search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from .. import files, film, latent, media
from ..errors import RequestError
from ..evaluation.sources import open_real, trained_on, unwatched
from ..frozen import Autoencoder, TrainedGenerator, load
from ..inversion import Measure, Search, Step, distance, open_look, project
from .latents import open_painter, writing
from .pictures import read_pictures, spare
from .tables import show
from .watching import watched

ENCODER = files.AUTOENCODER  # beside a decoder that was trained with an encoder
OWN = 3 * 10**6  # seed of the samples that are found again for comparison
FPS = 25.0


@dataclass(frozen=True)
class Wanted:
    """What the command line says of a projection."""

    search: Search
    look: str = "auto"
    label: str | None = None
    compare: int = 4


def write_projection(
    run: Path, images: Sequence[Path], wanted: Wanted, settings: list[str] | None, out: Path, video: str | None
) -> None:
    """Find the latents of pictures, write them, what they show beside the pictures, and the film; print how near."""
    if out.suffix != ".npz":
        raise RequestError(f"--out {out}: latents are written as .npz, such as z.npz")
    if not images:
        raise RequestError("there is no picture to project; name one or more")
    if video is not None:
        film.check(video, FPS)
    sheet = out.with_suffix(".png")
    spare(images, [sheet])
    generator = open_painter(run, settings)
    targets = read_pictures(images, generator.decoder.shape)
    others, own = comparisons(run, generator, wanted.compare)
    count, way, last = len(images), [], None
    for last in search(run, generator, torch.cat([targets, others]), wanted):
        if video is not None:
            way.append(last.images[:count])
    assert last is not None, "a search yields where it begins"
    away = last.distance[count:]
    measure = None
    if len(away):
        measure = Measure(away[:own].median().item(), away[own:].max().item() if len(away) > own else None)
    with writing(out):
        keep(last, targets, images, out, sheet)
    if video is not None:
        with writing(video):
            film.write(frames(way, targets), video, FPS)
    report(images, last, targets, measure)
    where = "" if video is None else f", the way there in {video}"
    print(f"{count} latent{'s' * (count > 1)} in {out}, drawn in {sheet}{where}")


def comparisons(run: Path, generator: TrainedGenerator, count: int) -> tuple[Tensor, int]:
    """`count` samples of the model and, where its data is at hand, as many pictures that it was not trained on.

    Gives both together, (n, C, H, W), and how many of them are samples.
    """
    seeds = range(OWN, OWN + count)
    own = generator.sample(seeds) if count else torch.empty(0, *generator.decoder.shape)
    training = trained_on(run)
    if training is None or not count:
        return own, count
    try:
        real = open_real(training.data, training, generator.decoder.shape, 0, unwatched)
    except RequestError:  # the data has been moved or changed, which is no reason not to look
        return own, count
    return torch.cat([own, (real.test or real.train).at(slice(count)).load().cpu()]), count


def search(run: Path, generator: TrainedGenerator, targets: Tensor, wanted: Wanted) -> Iterator[Step]:
    """The projection of pictures (N, C, H, W), with what lies by the generator to help: its encoder, its data."""
    training = trained_on(run)
    data = "" if training is None else training.data
    look = open_look(wanted.look, data, generator.decoder.shape, str(generator.device))
    beside = run / ENCODER
    loaded = load(beside if beside.is_file() else run, str(generator.device))
    guesses = loaded.encode(targets) if isinstance(loaded, Autoencoder) else None
    steps = project(generator, targets, wanted.search, look=look, guesses=guesses, label=wanted.label)
    yield from watched(steps, 1 + wanted.search.steps + wanted.search.polish, "projecting")


def nearest(run: Path, generator: TrainedGenerator, image: Path, wanted: Wanted) -> Step:
    """What comes nearest to one picture, of which it says how near that is."""
    target = read_pictures([image], generator.decoder.shape)
    *_, found = search(run, generator, target, wanted)
    print(f"{image.name} is found but for {found.distance[0]:.4f} of the range a pixel")
    return found


def keep(found: Step, targets: Tensor, images: Sequence[Path], out: Path, sheet: Path) -> None:
    """Write the latents as `walk`, `edit` and `sample` read them, and a sheet of the targets above what was found."""
    n = len(images)
    more = {"distance": found.distance[:n].numpy(), "images": np.array([str(image) for image in images])}
    if found.labels is not None:
        more["labels"] = found.labels[:n].numpy()
    latent.write_latents(out, found.latents[:n], more)
    rows = {"picture": targets, "found": found.images[:n]}
    media.save_png(media.labelled_rows(rows), sheet)


def frames(way: Iterable[Tensor], targets: Tensor) -> Iterator[Image]:
    """The film: each picture (N, C, H, W) with what was nearest to it so far at its right."""
    for found in way:
        pairs = torch.stack([targets, found], 1).flatten(0, 1)
        yield film.picture(pairs, columns=2, least=2 * film.LEAST)


def report(images: Sequence[Path], found: Step, targets: Tensor, measure: Measure | None) -> None:
    """Print how near each picture came, and what that means."""
    flat = targets.flatten(1).mean(1).reshape(-1, 1, 1, 1).expand_as(targets)
    rows = [
        (image.name, f"{away:.4f}", "" if measure is None else measure.verdict(away, contrast))
        for image, away, contrast in zip(
            images, found.distance.tolist(), distance(targets, flat).tolist(), strict=False
        )
    ]
    show(rows, ("picture", "a pixel is off by", ""))
    if measure is not None:
        print(f"In shares of the range: {measure}.")
