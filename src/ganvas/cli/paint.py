"""The command that paints from words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from .exploring import Settings
from .root import app


@app.command
def paint(
    words: Annotated[list[str], Parameter(help='What to paint, "a red circle::2 | something large"; several in turn.')],
    /,
    *,
    out: Annotated[Path, Parameter(help="Directory of the painting.")],
    exclude: Annotated[list[str] | None, Parameter(negative="", help="What it is not to show.")] = None,
    extras: Annotated[list[str] | None, Parameter(negative="", help="What it is to show beside the words.")] = None,
    generator: Annotated[Path | None, Parameter(help="Run or file; by default the one that comes with ganvas.")] = None,
    clip: Annotated[Path | None, Parameter(help="Run or file; by default what suits the generator.")] = None,
    size: Annotated[str | None, Parameter(help="WIDTHxHEIGHT, where the generator's latent is a grid.")] = None,
    steps: Annotated[int, Parameter(help="Strokes in all.")] = 100,
    seed: Annotated[int, Parameter(help="Of the latent and the crops: the same seed, the same picture.")] = 0,
    crops: Annotated[int, Parameter(help="Views that CLIP has at every stroke.")] = 30,
    whole: Annotated[float, Parameter(help="Share of them that show all of the picture, as it is.")] = 0.5,
    init: Annotated[Path | None, Parameter(help="Where to begin: a picture, or a latent.npz to go on from.")] = None,
    best_of: Annotated[int, Parameter(help="Or begin with the best of so many samples.")] = 64,
    generations: Annotated[int, Parameter(help="And of as many children of the best, so many times.")] = 4,
    label: Annotated[
        str | None,
        Parameter(help="Class, or keywords, that all of it shows; else these too are painted, where it knows any."),
    ] = None,
    settings: Settings = None,
    hold: Annotated[
        bool | None,
        Parameter(help="Leave words that exclude each other, such as colours, as they begin; by default if bred."),
    ] = None,
    lr: Annotated[float, Parameter(help="AdamW's, on the latent.")] = 0.02,
    weight_decay: Annotated[float, Parameter(help="AdamW's, on the latent.")] = 0.0,
    relative: Annotated[
        bool,
        Parameter(negative="", help="Move each number in deviations of the prior, where a latent has many words."),
    ] = False,
    prior: Annotated[float, Parameter(help="Weight of staying as long as the latents of the prior.")] = 0.1,
    variation: Annotated[float, Parameter(help="Weight of the total variation.")] = 0.0,
    distance: Annotated[Literal["cosine", "spherical"], Parameter(help="Between picture and words.")] = "cosine",
    preview: Annotated[int, Parameter(help="Strokes from one preview.png to the next.")] = 10,
    fps: Annotated[float, Parameter(help="Frames a second, of the films.")] = 25.0,
) -> None:
    """Paint from words: CLIP steers the latent of any generator of images. Weights stand behind `::`."""
    from ..paint import Brush, Crops
    from .easel import Asked
    from .painting import write_painting

    brush = Brush(lr, weight_decay, variation, prior, relative=relative, distance=distance)
    asked = Asked(
        words=words,
        exclude=exclude or [],
        extras=extras or [],
        generator=generator,
        clip=clip,
        size=size,
        steps=steps,
        seed=seed,
        init=init,
        best_of=best_of,
        generations=generations,
        label=label,
        settings=settings or [],
        preview=preview,
        fps=fps,
        crops=Crops(crops, whole=whole),
        brush=brush,
        hold=hold,
    )
    write_painting(asked, out)
