"""Several runs of one objective, summarised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .work import Outcome


@dataclass(frozen=True)
class Cell:
    """One figure over the seeds of one objective."""

    values: tuple[float, ...]  # of the runs that ended well, the best first
    failed: int

    @property
    def median(self) -> float | None:
        """The middle run's value, of an even number the worse one; None where that run has failed.

        A failed run counts as worse than any other: leaving it out would reward an objective for its failures.
        """
        middle = (len(self.values) + self.failed) // 2
        return self.values[middle] if middle < len(self.values) else None


@dataclass(frozen=True)
class Row:
    """One objective."""

    objective: str
    cells: dict[str, Cell]  # by figure
    failures: tuple[str, ...]  # one reason a failed run
    monitor: str  # what the monitor found, and in how many runs: 'collapse 2, oscillation 1'
    runs: int
    seconds: float  # of training, the mean of the runs that ended well


def figures(outcomes: Sequence[Outcome]) -> dict[str, dict[str, object]]:
    """The figures by name, each with its floor, direction and meaning.

    A figure that some measured run lacks, because its classifier was found later, is left out.
    """
    measured = [outcome.figures for outcome in outcomes if outcome.figures]
    shared = {name: figure for run in measured for name, figure in run.items()}
    return {name: figure for name, figure in shared.items() if all(name in run for run in measured)}


def summarise(outcomes: Sequence[Outcome], key: str) -> list[Row]:
    """A row an objective, by the median of the figure `key`, the best first, those whose median run failed last."""
    known = figures(outcomes)
    rows = []
    for objective in dict.fromkeys(outcome.objective for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.objective == objective]
        well = [outcome for outcome in mine if not outcome.failure]
        cells = {
            name: Cell(
                tuple(sorted((o.figures[name]["value"] for o in well), reverse=known[name]["better"] == "higher")),
                len(mine) - len(well),
            )
            for name in known
        }
        failures = tuple(f"seed {o.seed}: {o.failure}" for o in mine if o.failure)
        seconds = sum(o.seconds for o in well) / max(1, len(well))
        found = Counter(kind for o in mine for kind in set(o.findings))
        monitor = ", ".join(f"{kind} {count}" for kind, count in found.most_common())
        rows.append(Row(objective, cells, failures, monitor, len(mine), seconds))
    return sorted(rows, key=lambda row: rank(row, key, known))


def rank(row: Row, key: str, known: dict[str, dict[str, object]]) -> tuple[bool, float]:
    """The sort key of a row."""
    median = row.cells[key].median if key in row.cells else None
    if median is None:
        return True, 0.0
    return False, -median if known[key]["better"] == "higher" else median
