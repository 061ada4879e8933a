"""`ganvas evaluate`: the figures as a table, what they say in sentences, and the files that keep them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

from ..errors import WorkError
from ..evaluation import Evaluation, Figure
from ..files import METRICS, NEIGHBOURS, RECORD
from ..reports import attempt_report
from .tables import show

ARROWS = {"lower": "↓", "higher": "↑", "": ""}

T = TypeVar("T")


def track(sequence: Sequence[T], description: str) -> Iterable[T]:
    """A bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    return rich_track(sequence, description, console=console, transient=True) if console.is_terminal else sequence


def show_evaluation(evaluation: Evaluation) -> None:
    """Print a line on what was compared, the table, the findings and the warnings."""
    told = evaluation.protocol
    source = told.get("path", told["source_kind"])
    print(
        f"{told['samples']:,} samples of {source} against {told['reference_count']:,} items of {told['data_name']}, "
        f"{told['reference']}; features: {told['features']}\n"
    )
    show([row(name, figure) for name, figure in evaluation.figures.items()], ("", "value", "95 %", "real", "meaning"))
    print()
    for text in (*evaluation.findings, *(f"Beware: {warning}" for warning in evaluation.warnings)):
        Console(highlight=False, markup=False).print(text)


def row(name: str, figure: Figure) -> tuple[str, ...]:
    """A line of the table; `real` is the same figure of held-out real items."""
    interval = f"{figure.low:.4g} to {figure.high:.4g}"
    floor = "" if figure.floor is None else f"{figure.floor:.4g}"
    return f"{name} {ARROWS[figure.better]}", f"{figure.value:.4g}", interval, floor, figure.meaning


def keep(evaluation: Evaluation, source: str, json: Path | None) -> None:
    """Write the file that was asked for and, where `source` is a run, its metrics.json and its report anew."""
    run = [Path(source) / METRICS] if (Path(source) / RECORD).is_file() else []
    for file in (*([json] if json else []), *run):  # what was asked for first: the run may be another's
        try:
            evaluation.write(file)
        except OSError as error:
            raise WorkError(f"cannot write {file}: {(error.strerror or str(error)).lower()}") from error
        beside = f", nearest neighbours: {file.with_name(NEIGHBOURS)}" if evaluation.neighbours else ""
        print(f"written: {file}{beside}")
    if run:
        attempt_report(source)
