"""When training ends, and how far it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import RequestError
from ..progress import Progress, clock


class Budget(NamedTuple):
    """The end of training: a number of steps, or the first step after a number of minutes. One of the two is None."""

    steps: int | None
    minutes: float | None

    def check(self) -> Budget:
        """Itself, or a RequestError."""
        if self.steps is not None and self.minutes is not None:
            problem = f"`steps` {self.steps} and `minutes` {self.minutes:g} are both given"
            raise RequestError(problem, "give one of them")
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
    def label(self) -> str:
        """The step, the share of the budget that is spent, and the time."""
        return f"step {self.step:,} ({self.share:.0%}, {clock(self.seconds)})"


def due(step: int, every: int) -> bool:
    """Whether something happens after this many steps; 0: only at the end."""
    return every > 0 and step % every == 0


def summary(means: Mapping[str, float], speed: float | None, findings: Iterable[str]) -> str:
    """Losses, accuracies and speed: what one line has room for of a logging step."""
    parts = [f"{name.removesuffix('/loss')} {value:.3f}" for name, value in means.items() if name.endswith("/loss")]
    real, fake = means.get("critic/accuracy_real"), means.get("critic/accuracy_fake")
    if real is not None and fake is not None:
        parts.append(f"accuracy {real:.0%} real {fake:.0%} fake")
    parts += [f"{name.replace('/', ' ')} {value:.1%}" for name, value in means.items() if name.endswith("/accuracy")]
    if speed is not None:
        parts.append(f"{speed:,.0f} images/s")
    return "  ".join([*parts, *(f"{kind}!" for kind in findings)])
