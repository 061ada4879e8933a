"""`ganvas export`: a generator for elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .exploring import RunOrFile, Settings
from .root import app, parse_settings


@app.command
def export(
    run: RunOrFile,
    /,
    *,
    out: Annotated[
        Path, Parameter(help="model.onnx; model.pt2, of torch.export; page.html, which draws in a browser.")
    ],
    directions: Annotated[
        Path | None, Parameter(help="What the sliders of a page move along; by default what changes most.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Write a generator for elsewhere, and check that it draws there what it draws here."""
    from .. import exporters
    from ..errors import RequestError
    from ..frozen import load_generator
    from ..latent import read_directions
    from .latents import writing

    if directions is not None and out.suffix.lower() != exporters.PAGE:
        raise RequestError(f"--directions are the sliders of a page; name a {exporters.PAGE}, not {out}")
    generator = load_generator(run).adjusted(parse_settings(settings or []))
    chosen = read_directions(directions, generator.latents([0])) if directions else None
    with writing(out):
        found = exporters.export(generator, out, chosen)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB; differs from torch by at most {found:.1e}")
