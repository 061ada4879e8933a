"""When training ends, and how far it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import RequestError
from ..progress import Progress


class Budget(NamedTuple):
    """The end of training: a number of steps, or the first step after a number of minutes. One of the two is None."""

    steps: int | None
    minutes: float | None

    def check(self) -> Budget:
        """Itself, or a RequestError."""
        if self.steps is not None and self.minutes is not None:
            raise RequestError(
                f"`steps` {self.steps} and `minutes` {self.minutes:g} are both given", "give one of them"
            )
        for name, value in self._asdict().items():
            if value is not None and not 0 < value < math.inf:
                raise RequestError(f"{value:g} is not possible", "give a number above 0", field=name)
        return self

    def share(self, step: int, seconds: float) -> float:
        """How much of it is spent, 1 at the end."""
        by_steps = 0.0 if self.steps is None else step / self.steps
        by_time = 0.0 if self.minutes is None else seconds / (60 * self.minutes)
        return min(1.0, max(by_steps, by_time))


@dataclass(frozen=True)
class TrainingProgress(Progress):
    """Where a run stands after a step: `done` of a total of 1 is the share of its budget that is spent."""

    step: int = 0  # steps done
    seconds: float = 0.0  # of training so far, over every resume
    means: dict[str, float] | None = None  # at a logging step: each statistic's mean since the last one
    speed: float | None = None  # at a logging step: items a second, while training
    findings: tuple[str, ...] = ()  # the kinds that the monitor has found so far

    @property
    def share(self) -> float:
        """Of the budget that is spent, 0 to 1."""
        return self.done


def due(step: int, every: int) -> bool:
    """Whether something happens after this many steps; 0: only at the end."""
    return every > 0 and step % every == 0
