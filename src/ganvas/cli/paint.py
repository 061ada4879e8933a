"""The command that paints from words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import RequestError
from .exploring import Fps, Settings
from .root import app

if TYPE_CHECKING:  # it takes seconds to import
    from ..painting import Brush, Crops


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Asked:
    """How it is to be painted, each field an option of the command line."""

    exclude: Annotated[list[str] | None, Parameter(negative="", help="What it is not to show.")] = None
    extras: Annotated[list[str] | None, Parameter(negative="", help="What it is to show beside the words.")] = None
    generator: Annotated[Path | None, Parameter(help="Run or file; by default the one that comes with ganvas.")] = None
    clip: Annotated[Path | None, Parameter(help="Run or file; by default what suits the generator.")] = None
    size: Annotated[str | None, Parameter(help="WIDTHxHEIGHT, where the generator's latent is a grid.")] = None
    steps: Annotated[int, Parameter(help="Strokes in all.")] = 100
    seed: Annotated[int, Parameter(help="Of the latent and the crops: the same seed, the same picture.")] = 0
    crops: Annotated[int, Parameter(help="Views that CLIP has at every stroke.")] = 30
    whole: Annotated[float, Parameter(help="Share of them that show all of the picture, as it is.")] = 0.5
    init: Annotated[Path | None, Parameter(help="Where to begin: a picture, or a latent.npz to go on from.")] = None
    best_of: Annotated[int, Parameter(help="Or begin with the best of so many samples.")] = 64
    generations: Annotated[int, Parameter(help="And of as many children of the best, so many times.")] = 4
    label: Annotated[
        str | None,
        Parameter(help="Class, or keywords, that all of it shows; else these too are painted, where it knows any."),
    ] = None
    settings: Settings = None
    hold: Annotated[
        bool | None,
        Parameter(help="Leave words that exclude each other, such as colours, as they begin; by default if bred."),
    ] = None
    lr: Annotated[float, Parameter(help="AdamW's, on the latent.")] = 0.02
    weight_decay: Annotated[float, Parameter(help="AdamW's, on the latent.")] = 0.0
    relative: Annotated[
        bool,
        Parameter(negative="", help="Move each number in deviations of the prior, where a latent has many words."),
    ] = False
    prior: Annotated[float, Parameter(help="Weight of staying as long as the latents of the prior.")] = 0.1
    variation: Annotated[float, Parameter(help="Weight of the total variation.")] = 0.0
    distance: Annotated[Literal["cosine", "spherical"], Parameter(help="Between picture and words.")] = "cosine"
    preview: Annotated[int, Parameter(help="Strokes from one preview.png to the next.")] = 10
    fps: Fps = 25.0

    def check(self) -> None:
        """Raise RequestError for numbers that make no sense."""
        for name, value in (("--steps", self.steps), ("--best-of", self.best_of), ("--preview", self.preview)):
            if value < 1:
                raise RequestError(f"{name} {value}: give 1 or more")

    @property
    def views(self) -> Crops:
        """What CLIP is shown."""
        from ..painting import Crops

        return Crops(self.crops, whole=self.whole)

    @property
    def brush(self) -> Brush:
        """How the latent is moved; unless that is said, held where the search for a beginning breeds."""
        from ..painting import Brush

        bred = min(self.best_of - 1, self.generations) > 0
        return Brush(
            self.lr,
            self.weight_decay,
            self.variation,
            self.prior,
            hold=bred if self.hold is None else self.hold,
            relative=self.relative,
            distance=self.distance,
        )


@app.command
def paint(
    words: Annotated[list[str], Parameter(help='What to paint, "a red circle::2 | something large"; several in turn.')],
    /,
    *,
    out: Annotated[Path, Parameter(help="Directory of the painting.")],
    asked: Asked | None = None,
) -> None:
    """Paint from words: CLIP steers the latent of any generator of images. Weights stand behind `::`."""
    from .painting import write_painting

    write_painting(words, asked or Asked(), out)
