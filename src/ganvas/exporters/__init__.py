"""A generator for elsewhere: as ONNX, as a program of torch.export, or as a page that draws in any browser.

Nothing is written that has not been run: what a file holds is opened again in the runtime that is to run it, and what
it draws is compared with what torch draws.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .. import files
from ..errors import RequestError, WorkError
from ..frozen import TrainedGenerator
from ..latent import Directions
from . import graph, page, program
from .about import inputs

__all__ = ["BATCHES", "FORMATS", "PAGE", "TOLERANCE", "Format", "difference", "export"]

TOLERANCE = 1e-4  # that an item may differ by, absolute
BATCHES = (1, 2, 5)  # items in each of the comparisons
FRESH = 10_000  # the first seed that is compared: none of the example that the graph was traced with
PAGE = ".html"


class Format(NamedTuple):
    """How a file is made, and how it is run again: content -> (z,) or (z, label) -> items."""

    encode: Callable[[TrainedGenerator], bytes]
    reopen: Callable[[bytes], Callable[..., Tensor]]


FORMATS = {
    ".onnx": Format(graph.encode, graph.reopen),
    ".pt2": Format(program.encode, program.reopen),
}


def export(generator: TrainedGenerator, out: str | Path, directions: Directions | None = None) -> float:
    """Write a generator as the suffix of `out` says: .onnx, .pt2, or .html for a page.

    directions: what the sliders of a page move along. Gives the largest absolute difference between what the file and
    what torch draws. Raises RequestError for another suffix, for what a page cannot show and where the extra [onnx] is
    missing; WorkError where torch cannot follow the generator or the difference is above TOLERANCE, and nothing is then
    written; OSError where it cannot be.
    """
    out = Path(out)
    check(out)
    if out.suffix.lower() == PAGE:
        page.check(generator)
    generator = replace(generator, decoder=deepcopy(generator.decoder).cpu())
    form = FORMATS.get(out.suffix.lower(), FORMATS[".onnx"])  # a page holds an ONNX file
    with program.followed(generator.recipe):
        content = form.encode(generator)
    found = difference(generator, form.reopen(content))
    if not found <= TOLERANCE:
        raise WorkError(
            f"{out} would draw what differs by up to {found:.1e} from what torch draws, above {TOLERANCE:.0e}, and was "
            "not written; tell the makers of ganvas which recipe it is"
        )
    if out.suffix.lower() == PAGE:
        content = page.encode(generator, content, out.stem, directions)
    files.write(out, content)
    return found


def check(out: Path) -> None:
    """Raise RequestError where `export` would not know what to write."""
    kinds = (*FORMATS, PAGE)
    if out.suffix.lower() not in kinds:
        raise RequestError(f"--out {out}: {out.suffix or 'a folder'} is not written; name a {', a '.join(kinds)}")


def difference(generator: TrainedGenerator, draw: Callable[..., Tensor]) -> float:
    """The largest absolute difference between what `draw` and the generator make of fresh seeds, in several batches."""
    first, found = FRESH, []
    for size in BATCHES:
        given = inputs(generator, range(first, first + size))
        expected = generator.decode(given[0], given[1] if len(given) > 1 else None)
        found.append((draw(*given) - expected).abs().max())
        first += size
    return float(torch.stack(found).max())
