"""Write the page of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..progress import Progress, Steps
from .verb import Verb

if TYPE_CHECKING:
    from .types import RunPath


@dataclass(frozen=True)
class Report:
    """The page of a run, in one file that opens anywhere."""

    path: Path

    def _repr_html_(self) -> str:
        from html import escape

        page = escape(self.path.read_text(encoding="utf-8"), quote=True)
        return f'<iframe srcdoc="{page}" width="100%" height="600"></iframe>'


@Verb
def report(run: Annotated[RunPath, "The run directory."], *, progress: bool = True) -> Steps[Report]:
    """Write a run's report.html anew: curves, samples, options and verdict in one file that opens anywhere."""
    from ..frozen.opening import path_of
    from ..reports import write_report

    yield Progress("writing the report")
    return Report(write_report(path_of(run) or Path(str(run))))
