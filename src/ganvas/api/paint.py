"""Paint from words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from .. import painting
from ..painting import Painting
from ..progress import Steps
from .arguments import device_of, new_directory, texts_of
from .types import ClipLike, Device, Init, Label, Options, Out, RunLike, Texts
from .verb import Verb


@Verb
def paint(
    words: Annotated[Texts, 'What to paint, "a red circle::2 | something large"; several in turn.'],
    *,
    exclude: Annotated[Texts | None, "What it shall not show."] = None,
    extras: Annotated[Texts | None, "What it shall show in addition to the words."] = None,
    generator: Annotated[RunLike | None, "Run or file; by default the one that comes with ganvas."] = None,
    clip: Annotated[ClipLike | None, "Run or file; by default what suits the generator."] = None,
    size: Annotated[str | None, "WIDTHxHEIGHT, or a side of a square, where the generator's latent is a grid."] = None,
    steps: Annotated[int, "Strokes in all."] = 100,
    seed: Annotated[int, "Of the latent and the crops: the same seed, the same picture."] = 0,
    crops: Annotated[int, "Views that CLIP has at every stroke."] = 30,
    whole: Annotated[float, "Share of them that show all of the picture, as it is."] = 0.5,
    init: Annotated[Init | None, "Where to begin: a picture, or a latent.npz to continue from."] = None,
    best_of: Annotated[int, "Or begin with the best of so many samples."] = 64,
    generations: Annotated[int, "And of as many children of the best, so many times."] = 4,
    label: Annotated[Label | None, "Class or keywords that all of it shows; by default these are painted too."] = None,
    options: Options | None = None,
    hold: Annotated[
        bool | None, "Leave words that exclude each other, such as colours, as they begin; by default if bred."
    ] = None,
    lr: Annotated[float, "AdamW's, on the latent."] = 0.02,
    weight_decay: Annotated[float, "AdamW's, on the latent."] = 0.0,
    relative: Annotated[bool, "Move each number in deviations of the prior, where a latent has many words."] = False,
    prior: Annotated[float, "Weight of staying as long as the latents of the prior."] = 0.1,
    variation: Annotated[float, "Weight of the total variation."] = 0.0,
    distance: Annotated[Literal["cosine", "spherical"], "Between picture and words."] = "cosine",
    preview: Annotated[int, "Strokes from one preview.png to the next."] = 10,
    fps: float = 25.0,
    device: Device = "auto",
    out: Annotated[Out | None, "Directory of the painting."] = None,
    progress: bool = True,
) -> Steps[Painting]:
    """Paint from words: CLIP steers the latent of any generator of images. Weights follow `::`."""
    brush = painting.Brush(lr, weight_decay, variation, prior, relative=relative, distance=distance)
    views = painting.Crops(crops, whole=whole)
    texts = (texts_of(words), texts_of(exclude), texts_of(extras))
    request = painting.Request(*texts, steps, seed, best_of, generations, size, label, init, hold, brush, views)
    request.check(preview)
    path = None if out is None else Path(out)
    if path is not None and not (isinstance(init, str | Path) and Path(init).parent == path):
        new_directory(path)
    setup = yield from painting.set_up(request, generator, clip, options, device_of(device))
    return (yield from painting.paint_all(setup, fps, preview, path))
