"""A generator for elsewhere: as ONNX, as a program of torch.export, or as a page that draws in any browser.

Every file is run before it is written: its content is opened again in its own runtime, and its output compared with
torch's.
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
from .program import inputs

__all__ = ["FORMATS", "PAGE", "Format", "export", "inputs"]

TOLERANCE = 1e-4  # absolute, of an item
BATCHES = (1, 2, 5)  # items in each of the comparisons
FRESH = 10_000  # the first seed that is compared, not one of the example that the graph was traced with
PAGE = ".html"


class Format(NamedTuple):
    """How a file is made, and how it is run again: content -> (z,) or (z, label) -> items."""

    encode: Callable[[TrainedGenerator], bytes]
    reopen: Callable[[bytes], Callable[..., Tensor]]


FORMATS = {".onnx": Format(graph.encode, graph.reopen), ".pt2": Format(program.encode, program.reopen)}


def export(generator: TrainedGenerator, out: str | Path, directions: Directions | None = None) -> float:
    """Write a generator as the suffix of `out` says: .onnx, .pt2, or .html for a page.

    directions: of the sliders of a page. Returns the largest absolute difference between the outputs of the file and of
    torch. Raises RequestError for another suffix, for what a page cannot show and where the extra [onnx] is missing;
    WorkError where torch cannot trace the generator or the difference is above TOLERANCE, and nothing is written then;
    OSError where writing fails.
    """
    out = Path(out)
    kind, known = out.suffix.lower(), (*FORMATS, PAGE)
    if kind not in known:
        raise RequestError(f"{kind or 'a folder'} is not written", f"name a {', a '.join(known)}", field="out")
    if kind == PAGE and len(generator.decoder.shape) != 3:
        raise RequestError("points have no picture each, and so no page", "write an .onnx or a .pt2", field="out")
    generator = replace(generator, decoder=deepcopy(generator.decoder).cpu())
    form = FORMATS.get(kind, FORMATS[".onnx"])  # a page holds an ONNX file
    with program.tracing(generator.recipe):
        content = form.encode(generator)
    found = difference(generator, form.reopen(content))
    if not found <= TOLERANCE:
        raise WorkError(
            f"{out} was not written: its output differs by up to {found:.1e} from torch's, above {TOLERANCE:.0e}; "
            f"report this to the makers of ganvas, with the recipe {generator.recipe!r}"
        )
    if kind == PAGE:
        content = page.encode(generator, content, out.stem, directions)
    files.write(out, content)
    return found


def difference(generator: TrainedGenerator, draw: Callable[..., Tensor]) -> float:
    """The largest absolute difference between the items of `draw` and of the generator, for fresh seeds."""
    first, found = FRESH, []
    for size in BATCHES:
        given = inputs(generator, range(first, first + size))
        expected = generator.decode(given[0], given[1] if len(given) > 1 else None)
        found.append((draw(*given) - expected).abs().max())
        first += size
    return float(torch.stack(found).max())
