"""Find the latents of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from PIL.Image import Image
from torch import Tensor

from .. import film, inversion, latent, media
from ..data.pictures import name_of, read_pictures, several
from ..errors import writing
from ..evaluation.sources import Training, trained_on
from ..frozen import TrainedGenerator
from ..frozen.opening import path_of
from ..inversion import Calibration, Estimate, Search, comparisons, distance
from ..latent.saved import npz_path
from ..progress import Progress, Steps
from ..shown import Shown, picture_html, table_html, text_html
from .arguments import asked_label, at_least, image_generator_of, refuse_overwriting
from .types import Device, Label, Options, Out, Pictures, RunLike
from .verb import Verb

FPS = 25.0
HEADER = ("picture", "a pixel is off by", "")


@dataclass(eq=False, repr=False)
class Projection(Shown):
    """The nearest pictures of a model to given ones, with their latents."""

    names: list[str]  # of the pictures, with their paths
    targets: Tensor  # (N, C, H, W) in [-1, 1]
    images: Tensor  # (N, C, H, W), the nearest that were found
    latents: Tensor  # (N, ...)
    labels: Tensor | None  # (N, ...) of a generator with labels
    distance: Tensor  # (N,) RMS difference of a pixel, as a share of the range
    calibration: Calibration | None  # what distances mean for this model

    @property
    def verdicts(self) -> list[str]:
        """What each distance means, in words; empty without a calibration."""
        if self.calibration is None:
            return ["" for _ in self.names]
        flat = self.targets.flatten(1).mean(1).reshape(-1, 1, 1, 1).expand_as(self.targets)
        contrast = distance(self.targets, flat).tolist()
        return [self.calibration.verdict(*pair) for pair in zip(self.distance.tolist(), contrast, strict=True)]

    @property
    def table(self) -> list[tuple[str, ...]]:
        """A row a picture, under HEADER."""
        each = zip(self.names, self.distance.tolist(), self.verdicts, strict=True)
        return [(Path(name).name, f"{away:.4f}", verdict) for name, away, verdict in each]

    @property
    def scale(self) -> list[str]:
        """What shows how near is near, in a sentence; nothing without a calibration."""
        return [] if self.calibration is None else [f"In shares of the range: {self.calibration}."]

    def _repr_html_(self) -> str:
        return picture_html(self.picture()) + table_html(HEADER, self.table) + text_html(self.scale)

    def picture(self) -> Image:
        """The pictures above what was found."""
        return media.labelled_rows({"picture": self.targets, "found": self.images})

    def save(self, out: Out) -> None:
        """Write z.npz, as walk, edit and sample read it, and a .png of the same name. WorkError where that fails."""
        import numpy as np

        path = npz_path(out)
        more = {"distance": self.distance.numpy(), "images": np.array(self.names)}
        if self.labels is not None:
            more["labels"] = self.labels.numpy()
        with writing(out):
            latent.write_latents(path, self.latents, more)
            media.save_png(self.picture(), path.with_suffix(".png"))


@Verb
def project(
    run: RunLike,
    images: Annotated[Pictures, "Pictures to find."],
    *,
    starts: Annotated[int, "Random pictures to begin from."] = 256,
    keep: Annotated[int, "The nearest of them, which continue."] = 4,
    steps: Annotated[int, "Of Adam."] = 100,
    polish: Annotated[int, "Second-order steps at most, where latents are vectors."] = 15,
    look: Annotated[
        Literal["auto", "lpips", "lpips-alex", "cnn", "none"], "A perceptual distance in addition to the pixels."
    ] = "auto",
    compare: Annotated[int, "Own samples, and pictures of the data, that show what is near."] = 4,
    label: Label | None = None,
    prompt: str | None = None,
    options: Options | None = None,
    device: Device = "auto",
    out: Annotated[Out | None, "z.npz, for walk, edit and sample; a picture of what was found next to it."] = None,
    video: Annotated[Out | None, "The search as a film: search.mp4, .gif, .webp, .webm, .mov, or a directory."] = None,
    progress: bool = True,
) -> Steps[Projection]:
    """Find the latents of pictures, and show how near the model comes to them."""
    at_least(1, starts=starts, keep=keep)
    at_least(0, steps=steps, polish=polish, compare=compare)
    given = several(images)
    if out is not None:
        refuse_overwriting(given, [npz_path(out).with_suffix(".png")])
    if video is not None:
        film.check(video, FPS, "video")
    generator = image_generator_of(run, device, options)
    targets = read_pictures(given, generator.decoder.shape)
    others, own = comparisons(generator, training_of(run), compare)
    search, asked = Search(starts, keep, steps, polish), asked_label(label, prompt)
    found = yield from searching(run, generator, torch.cat([targets, others]), search, look, asked, video, len(given))
    names = [str(one) if isinstance(one, str | Path) else name_of(one, i) for i, one in enumerate(given)]
    projection = projected(names, targets, found, own)
    if out is not None:
        projection.save(out)
    return projection


def training_of(run: RunLike) -> Training | None:
    """What the run was trained on, where it is a run that says so."""
    path = path_of(run)
    return None if path is None else trained_on(path)


def projected(names: list[str], targets: Tensor, found: Estimate, own: int) -> Projection:
    """What was found of the pictures; behind them come `own` samples of the model, then pictures of its data."""
    n, away = len(names), found.distance[len(names) :]
    calibration = None
    if len(away):
        calibration = Calibration(away[:own].median().item(), away[own:].max().item() if len(away) > own else None)
    labels = None if found.labels is None else found.labels[:n]
    return Projection(names, targets, found.images[:n], found.latents[:n], labels, found.distance[:n], calibration)


def searching(
    run: RunLike,
    generator: TrainedGenerator,
    targets: Tensor,
    search: Search,
    look: str,
    label: Label | None,
    video: Out | None = None,
    shown: int = 1,
) -> Steps[Estimate]:
    """Project pictures (N, C, H, W) with the help of what is around the model; film the first `shown` into `video`."""
    path, training, device = path_of(run), training_of(run), str(generator.device)
    perceptual = inversion.open_perceptual(look, training.data if training else "", generator.decoder.shape, device)
    guesses = inversion.encode_guesses(path, targets, device)
    steps = inversion.project(generator, targets, search, perceptual=perceptual, guesses=guesses, label=label)
    total, last = 1 + search.steps + search.polish, []

    def frames() -> Iterator[Image]:
        for found in steps:
            last[:] = [found]
            yield film.picture(torch.stack([targets[:shown], found.images[:shown]], 1).flatten(0, 1), 2, 2 * film.LEAST)

    if video is None:
        counted = enumerate(frames(), 1)
        yield from (Progress("projecting", i, total, image=image) for i, image in counted)
    else:
        yield from film.losses(video, generator.decoder.shape)
        with writing(video):
            yield from (Progress("projecting", i, total) for i in film.write(frames(), video, FPS))
    return last[0]
