"""The monitor within a run: it looks at the samples, judges the log, and keeps the best checkpoint."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..data import Dataset
from ..errors import unknown
from ..features import open_features
from ..frozen import TrainedGenerator
from ..monitor import SAMPLES, WORDS, Finding, Probe, symptoms
from ..types import System
from . import checkpoint
from .budget import due

if TYPE_CHECKING:
    from . import Run

Line = Mapping[str, Any]
Policy = Literal["warn", "stop", "rollback"]  # what happens when the monitor finds something wrong
ATTEMPTS = 3  # rollbacks of one run
SLOWER = 0.5  # the learning rates of an attempt, over those of the one before
BATCH = 128  # samples in a forward pass

logger = logging.getLogger(__name__)


def check_policy(name: str) -> None:
    """A RequestError with the nearest right names where there is no such policy."""
    if name not in get_args(Policy):
        raise unknown("--on-collapse", name, get_args(Policy))


def stream(seed: int, attempt: int) -> int:
    """The seed of the training steps: the run's own, and another for every attempt after a rollback."""
    return int(np.random.SeedSequence((seed, attempt)).generate_state(1)[0]) if attempt else seed


def slow(system: System, attempt: int) -> None:
    """Scale every learning rate to what it is in an attempt; of a system that has just been built."""
    factor = SLOWER**attempt
    for phase in system.phases:
        phase.lr_factor = lambda step, base=phase.lr_factor: factor * base(step)


class Watch:
    """What watches one stretch of training."""

    def __init__(self, run: Run, dataset: Dataset) -> None:
        self.run, self.dataset = run, dataset
        self.probe: Probe | None = None  # made at the first look, since short runs have none
        self.kinds: list[str] = []  # found so far
        self.trouble: Finding | None = None  # for which training does not go on as it was

    def begin(self, lines: Sequence[Line]) -> None:
        """Remember what the log has told already."""
        self.kinds = [found["kind"] for line in lines for found in line.get("findings", ())]

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
        """What the last line shows for the first time; warned of, and acted on unless the budget is `spent`."""
        kinds = [kind for kind in symptoms(lines) if kind not in self.kinds]
        found = [Finding(kind, self.run.step, *WORDS[kind]) for kind in kinds]
        for finding in found:
            logger.warning("%s at step %d. %s %s", finding.kind, finding.step, finding.meaning, finding.advice)
        self.kinds += kinds
        if found and not spent and self.run.record["on_collapse"] != "warn":
            self.trouble = found[0]
        return found

    def keep_best(self, lines: Sequence[Line], generator: TrainedGenerator) -> None:
        """Keep the newest checkpoint as the best, where it is healthy and nearer to the data than any before.

        Only those that are due may be: what Ctrl-C saves out of turn must change nothing that follows.
        """
        run, folder = self.run, self.run.path / "checkpoints"
        if not due(run.step, run.options.checkpoint_every) and run.budget.share(run.step, run.seconds) < 1:
            return
        looks = {line["step"]: line["monitor/distance"] for line in lines if "monitor/distance" in line}
        distance = looks.get(run.step, math.inf)
        if distance < looks.get(checkpoint.best_step(folder), math.inf) and not symptoms(lines):
            checkpoint.keep_best(folder, generator)
