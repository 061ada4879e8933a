"""Write the page of a run."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Annotated

from ..frozen.opening import path_of
from ..progress import Progress, Steps
from ..reports import write_report
from .types import RunPath
from .verb import Verb


@dataclass(frozen=True)
class Report:
    """The page of a run, in one file that opens anywhere."""

    path: Path

    def _repr_html_(self) -> str:
        page = escape(self.path.read_text(encoding="utf-8"), quote=True)
        return f'<iframe srcdoc="{page}" width="100%" height="600"></iframe>'


@Verb
def report(run: Annotated[RunPath, "The run directory."], *, progress: bool = True) -> Steps[Report]:
    """Write a run's report.html anew: curves, samples, options and verdict in one file that opens anywhere."""
    yield Progress("writing the report")
    return Report(write_report(path_of(run) or Path(str(run))))
