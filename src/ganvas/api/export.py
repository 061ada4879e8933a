"""Write a generator for elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from .. import exporters
from ..errors import RequestError, writing
from ..frozen.opening import open_generator
from ..latent import find_directions
from ..progress import Progress, Steps
from .types import DirectionLike, Options, Out, RunLike
from .verb import Verb


@dataclass(frozen=True)
class Export:
    """A generator in a file for elsewhere."""

    path: Path
    difference: float  # the largest absolute difference from what torch draws

    @property
    def size(self) -> int:
        """In bytes."""
        return self.path.stat().st_size


@Verb
def export(
    run: RunLike,
    *,
    out: Annotated[Out, "model.onnx; model.pt2, of torch.export; page.html, which draws in a browser."],
    directions: Annotated[
        DirectionLike | None, "What the sliders of a page move along; by default what changes most."
    ] = None,
    options: Options | None = None,
    progress: bool = True,
) -> Steps[Export]:
    """Write a generator for elsewhere, and check that it draws there what it draws here."""
    path = Path(out)
    if directions is not None and path.suffix.lower() != exporters.PAGE:
        raise RequestError(
            f"only a page has sliders, and {path} is none", f"name a {exporters.PAGE}", field="directions"
        )
    yield Progress("exporting")
    generator = open_generator(run, "cpu", options)
    chosen = None if directions is None else find_directions(directions, generator.latents([0]))[0]
    with writing(out):
        return Export(path, exporters.export(generator, path, chosen))
