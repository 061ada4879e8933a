"""The commands that steer what a generator draws: directions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from .exploring import Label, RunOrFile
from .root import app


@app.command
def directions(
    run: RunOrFile,
    /,
    *,
    out: Annotated[Path, Parameter(help="directions.npz; a picture of them is put beside it.")],
    method: Annotated[
        Literal["sefa", "pca"],
        Parameter(help="sefa: of the first layer's weights; pca: of the features that enter a layer."),
    ] = "sefa",
    count: Annotated[int, Parameter(help="How many, the strongest first.")] = 10,
    layer: Annotated[
        int, Parameter(help="pca: the layer whose inputs are looked at; later ones are more abstract.")
    ] = 1,
    samples: Annotated[int, Parameter(help="Latents to learn from.")] = 2000,
    seed: Annotated[int, Parameter(help="What the picture shows.")] = 0,
    strength: Annotated[
        str, Parameter(help="FROM:TO, of the picture, in deviations of the latent.", allow_leading_hyphen=True)
    ] = "-3:3",
    label: Label = None,
) -> None:
    """Find directions of latent space with a meaning, for `edit` and `walk --through`."""
    from .directing import Asked, write_directions

    write_directions(run, Asked(method, count, layer, samples, seed, strength, label), out)
