"""Continue a run."""

from __future__ import annotations

from typing import Annotated

from ..progress import Steps
from ..run import Run
from .train import headline
from .types import Data, OnCollapse, RunPath
from .verb import Verb


@Verb
def resume(
    run: Annotated[RunPath, "The run directory."],
    *,
    data: Annotated[Data | None, "Where the data is now; by default where it was, or beside the run."] = None,
    changed: Annotated[bool, "Accept other data: recorded, and no longer the same run to the bit."] = False,
    steps: Annotated[int | None, "Steps in all; by default as many as the run was to have."] = None,
    minutes: Annotated[float | None, "Minutes of training in all, those before included."] = None,
    on_collapse: Annotated[OnCollapse | None, "From here on; by default as before."] = None,
    progress: bool = True,
) -> Steps[Run]:
    """Continue a run exactly where its newest checkpoint is.

    Raises RequestError where there is no run, its data is gone, or has changed without `changed`; for the rest see
    `train`.
    """
    opened = run if isinstance(run, Run) else Run(run)
    yield from opened.opening(data, changed)
    ticks = opened.advance(steps, minutes, on_collapse)
    yield from headline(opened)
    yield from ticks
    return opened
