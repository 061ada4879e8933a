"""The monitor within a run: it looks at the samples, judges the log, and keeps the best checkpoint."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Literal, get_args

import numpy as np

from ..data import Dataset
from ..errors import unknown
from ..features import open_features
from ..frozen import TrainedGenerator
from ..monitor import EXPLANATIONS, SAMPLES, Finding, Probe, symptoms
from ..types import System
from . import checkpoint
from .budget import due
from .folder import resumption
from .state import RunState

Line = Mapping[str, Any]
Policy = Literal["warn", "stop", "rollback"]  # what happens when the monitor finds something wrong
ATTEMPTS = 3  # rollbacks of one run
SLOWER = 0.5  # the learning rates of an attempt, over those of the one before
BATCH = 128  # samples in a forward pass
SLOW = 0.4  # the share of its usual rate under which training is too slow,
WINDOWS, HISTORY = 2, 3  # over so many lines of the log, after so many others

logger = logging.getLogger(__name__)


def check_policy(name: str) -> None:
    """A RequestError with the nearest right names where there is no such policy."""
    if name not in get_args(Policy):
        raise unknown("choice", name, get_args(Policy), field="on_collapse")


def stream(seed: int, attempt: int) -> int:
    """The seed of the training steps: the run's own, and another one for each attempt after a rollback."""
    return int(np.random.SeedSequence((seed, attempt)).generate_state(1)[0]) if attempt else seed


def slow(system: System, attempt: int) -> None:
    """Scale every learning rate of a freshly built system to what it is in an attempt."""
    factor = SLOWER**attempt
    for phase in system.phases:
        phase.lr_factor = lambda step, base=phase.lr_factor: factor * base(step)


class Watch:
    """Watches one session of training."""

    def __init__(self, run: RunState, dataset: Dataset, lines: Sequence[Line] = ()) -> None:
        """`lines` are the log so far."""
        self.run, self.dataset = run, dataset
        self.probe: Probe | None = None  # made at the first look, since short runs have none
        self.kinds: list[str] = [found["kind"] for line in lines for found in line.get("findings", ())]  # so far
        self.trouble: Finding | None = None  # the one that ends the session
        self.warned = False  # whether a slow machine has been reported

    def looks(self, step: int) -> bool:
        """Whether the monitor looks at the samples after this step."""
        return self.run.record["monitor"] is not None and due(step, self.run.options.monitor_every)

    @property
    def can_roll_back(self) -> bool:
        """Whether a finding may take the run back."""
        return self.run.record["on_collapse"] == "rollback" and len(self.run.rollbacks) < ATTEMPTS

    def measure(self, generator: TrainedGenerator) -> dict[str, float]:
        """The `monitor/...` numbers of the generator; see `Probe.measure`."""
        if self.probe is None:
            record = self.run.record
            extractor = open_features(record["monitor"], dataset=self.dataset, device=record["plan"]["device"])
            self.probe = Probe(extractor, self.dataset)
        return self.probe.measure(generator.sample(range(SAMPLES), batch=BATCH))

    def judge(self, lines: Sequence[Line], spent: bool) -> list[Finding]:
        """What the last line shows for the first time: warn of it, and act on it unless the budget is `spent`."""
        kinds = [kind for kind in symptoms(lines) if kind not in self.kinds]
        found = [Finding(kind, self.run.step, *EXPLANATIONS[kind]) for kind in kinds]
        for finding in found:
            logger.warning("%s at step %d. %s %s", finding.kind, finding.step, finding.meaning, finding.advice)
        self.kinds += kinds
        if found and not spent and self.run.record["on_collapse"] != "warn":
            self.trouble = found[0]
        return found

    def check_speed(self, lines: Sequence[Line]) -> None:
        """Warn once where training has become slow, as it does when threads wait for one that lost its core."""
        plan, rates = self.run.plan, [line["images_per_second"] for line in lines]
        if self.warned or len(rates) < HISTORY + WINDOWS or plan.device != "cpu" or plan.threads < 2:
            return
        usual = median(rates[:-WINDOWS])
        if max(rates[-WINDOWS:]) >= SLOW * usual:
            return
        self.warned = True
        logger.warning(
            "training has slowed down to %.0f images/s from %.0f, as if another process used a core; if that lasts, "
            "stop and continue with fewer than these %d threads: `OMP_NUM_THREADS=1 %s` (the last bits may change)",
            *(lines[-1]["images_per_second"], usual, plan.threads, resumption(self.run.path)),
        )

    def keep_best(self, lines: Sequence[Line], generator: TrainedGenerator) -> None:
        """Keep the newest checkpoint as the best, where it is healthy and nearer to the data than any before.

        Only one that is due: what Ctrl-C saves out of turn must not change what follows.
        """
        run = self.run
        if not due(run.step, run.options.checkpoint_every) and run.budget.share(run.step, run.seconds) < 1:
            return
        looks = {line["step"]: line["monitor/distance"] for line in lines if "monitor/distance" in line}
        distance = looks.get(run.step, math.inf)
        if distance < looks.get(checkpoint.best_step(run.checkpoints), math.inf) and not symptoms(lines):
            checkpoint.keep_best(run.checkpoints, generator)
