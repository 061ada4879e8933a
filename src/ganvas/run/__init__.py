"""A run: training that is written down as it goes, and that goes on exactly where a kill, a crash or Ctrl-C stopped it.

`recipe.json` is the request, `log.jsonl` what was measured, `samples/` the same latents again and again beside real
items, `checkpoints/` what training remembers, and `generator.safetensors` the generator alone.
"""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from .. import files, frozen, recipes, records
from ..data import Dataset
from ..errors import RequestError
from ..features import open_features
from ..monitor import LEAST, Finding, judge
from ..plan import Plan, choose, choose_precision
from ..reports import attempt_report
from ..reports.content import step_of
from ..types import System
from . import checkpoint, folder
from .budget import Budget, Progress
from .building import assemble, described, open_items, refuse_many_processes, requested, trial
from .session import Session, writing
from .watch import ATTEMPTS, SLOWER, check_policy, slow

logger = logging.getLogger(__name__)


class Run:
    """A run directory. `create` makes one, `Run(path)` opens one; `advance` trains it, `sample` draws from it."""

    def __init__(self, path: str | Path) -> None:
        """Open the run at `path`. Raises RequestError where there is none."""
        self.path = Path(path)
        self.record = records.read_record(self.path)
        self.recipe: str = self.record["recipe"]
        self.options = recipes.from_json(self.recipe, self.record["options"])
        self.budget = Budget(**self.record["budget"])
        self.step, self.seconds = 0, 0.0
        self.sums: Mapping[str, tuple[float, int]] = {}  # of the statistics since the last line of the log
        self._built: tuple[System, Dataset] | None = None

    @classmethod
    def create(
        cls,
        recipe: str = "gan",
        data: str | None = None,
        *,
        out: str | Path | None = None,
        steps: int | None = None,
        minutes: float | None = None,
        batch: int | None = None,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        options: Mapping[str, object] | None = None,
        on_collapse: str = "warn",
        overwrite: bool = False,
    ) -> Run:
        """Make the directory of a run that has not trained yet; `advance` trains it.

        `data` is by default the recipe's own, `out` the first free `runs/<recipe>-<data>`; `options` are the recipe's,
        as values or text. Training ends after `steps` (by default the recipe's) or `minutes`. `on_collapse` is what
        happens when the monitor finds something wrong: "warn", "stop", or "rollback" to the best checkpoint with
        halved learning rates, at most three times. Raises RequestError, before anything is written, where the request
        is wrong.
        """
        Budget(steps, minutes).check()
        refuse_many_processes()
        check_policy(on_collapse)
        chosen = requested(recipe, {"data": data, "steps": steps, "batch": batch}, options or {})
        dataset = open_items(chosen, seed)
        plan = choose(device, precision)
        resolved = recipes.resolve(chosen, dataset, plan)
        if precision == "auto" and len(dataset.shape) == 3:  # points train in float32 whatever the plan
            plan = choose_precision(plan, partial(trial, resolved, dataset.to(plan.device), seed))
        system = assemble(resolved, dataset, plan, seed)
        path = folder.claim(out, f"{recipe}-{dataset.name}", overwrite)
        record = {
            "ganvas": version("ganvas"),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "recipe": recipe,
            "options": recipes.to_json(chosen),
            "resolved": recipes.to_json(resolved),
            "seed": seed,
            "plan": asdict(plan),
            "threads": torch.get_num_threads(),
            "monitor": watched(chosen, dataset, system),
            "on_collapse": on_collapse,
            "rollbacks": [],
            "budget": Budget(None if minutes else chosen.steps, minutes)._asdict(),
            "data": described(dataset),
        }
        folder.write_record(path, record)
        run = cls(path)
        run._built = system, dataset.to(plan.device)
        return run

    def advance(
        self, steps: int | None = None, minutes: float | None = None, on_collapse: str | None = None
    ) -> Generator[Progress, None, None]:
        """Train until the budget is spent, from where the newest checkpoint stands; yields after every step.

        `steps` or `minutes`, both counted from the start of the run, replace its budget, and `on_collapse` what
        the run was told to do when the monitor finds something wrong. Ctrl-C within a step ends
        training after it, saves, and raises KeyboardInterrupt; a second one stops at once. Leaving the loop early saves
        as soon as the iterator is closed: by its `close()`, by `contextlib.closing`, or when Python collects it.

        Raises RequestError where the data has changed or that much is spent already, WorkError where a loss is not
        finite, a file cannot be written, or the monitor stops the run: the checkpoints on the disk then survive.
        """
        budget = Budget(steps, minutes).check()
        refuse_many_processes()
        with writing(self):
            lock = folder.hold(self.path)
        try:
            system, dataset = self._open()
            self._extend(budget, on_collapse)
        except BaseException:
            lock.release()
            raise
        return self._train(system, dataset, lock)

    def generator(self, device: str = "cpu") -> frozen.TrainedGenerator:
        """The generator of the newest checkpoint, alone."""
        return frozen.load_generator(self.path, device)

    def sample(
        self, seeds: Iterable[int] = range(64), *, truncation: float = 1.0, label: int | str | None = None
    ) -> Tensor:
        """One item a seed: images (N, C, H, W) in [-1, 1], or points (N, D). See `TrainedGenerator.sample`."""
        return self.generator().sample(seeds, truncation=truncation, label=label)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of `log.jsonl`."""
        return records.read_log(self.path)

    @property
    def findings(self) -> list[Finding]:
        """What the monitor has to say of the log."""
        return judge(self.log)

    @property
    def rollbacks(self) -> list[dict[str, Any]]:
        """How often the run went back after a finding: its kind, its step, the step `to` which, the seconds by then."""
        return self.record["rollbacks"]

    @property
    def best(self) -> Path | None:
        """The checkpoint nearest to the data so far, which `ganvas.load` and `ganvas sample` read as they do a run."""
        path = self.path / "checkpoints" / checkpoint.BEST
        return path if path.is_dir() else None

    @property
    def pictures(self) -> list[Path]:
        """The sample grids so far, the oldest first."""
        return sorted((self.path / "samples").glob("step-*.png"), key=step_of)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _open(self) -> tuple[System, Dataset]:
        """Build the system and load the newest checkpoint, unless they are in memory already."""
        if self._built is None:
            told, plan = self.record["data"], Plan(**self.record["plan"])
            dataset = open_items(self.options, self.record["seed"])
            if dataset.fingerprint != told["fingerprint"]:
                raise RequestError(
                    f"the data {self.options.data!r} is not what {self.path} began with ({told['count']} items then, "
                    f"{len(dataset)} now); put the old data back, or train a new run"
                )
            choose(plan.device, plan.precision)  # refuses what this machine lacks
            threads = torch.get_num_threads()
            if plan.device == "cpu" and self.record.get("threads", threads) != threads:
                logger.warning(
                    "%s began with %d threads and goes on with %d, which may change the last bits of what it computes; "
                    "OMP_NUM_THREADS=%d keeps them",
                    *(self.path, self.record["threads"], threads, self.record["threads"]),
                )
            files.clean(self.path)
            self._load(dataset.to(plan.device))
        assert self._built is not None
        return self._built

    def _load(self, dataset: Dataset) -> None:
        """Build the system and load what it goes on from."""
        plan, back = Plan(**self.record["plan"]), self.rollbacks
        resolved = recipes.from_json(self.recipe, self.record["resolved"])
        system = assemble(resolved, dataset, plan, self.record["seed"])
        slow(system, len(back))
        origin, spent = (back[-1]["to"], back[-1]["seconds"]) if back else (0, 0.0)
        saved = checkpoint.restore(self.path / "checkpoints", system, len(back), origin)
        self.step, self.seconds, self.sums = saved.step, max(saved.seconds, spent), saved.sums
        if saved.attempt < len(back):  # which has not saved anything yet
            self._put_back(origin, system)
        self._built = system, dataset

    def _roll_back(self, finding: Finding, dataset: Dataset) -> None:
        """Go back to the best checkpoint, or to the start, and on from there at lower rates and with other noise."""
        origin = checkpoint.best_step(self.path / "checkpoints") or 0
        entry = {"kind": finding.kind, "step": finding.step, "to": origin, "seconds": self.seconds}
        self.record["rollbacks"] = [*self.rollbacks, entry]
        with writing(self):
            folder.write_record(self.path, self.record)
            for picture in self.pictures:
                if step_of(picture) > origin:
                    picture.unlink()
        logger.warning(
            "%s at step %d: back to step %d, with %g times the learning rates (rollback %d of %d)",
            *(finding.kind, finding.step, origin, SLOWER ** len(self.rollbacks), len(self.rollbacks), ATTEMPTS),
        )
        self._load(dataset)

    def _put_back(self, origin: int, system: System) -> None:
        """Leave the networks of the step `origin` beside the checkpoints, or none, not those of an attempt given up."""
        with writing(self):
            if origin:
                best = self.path / "checkpoints" / checkpoint.BEST / files.GENERATOR
                files.write(self.path / files.GENERATOR, best.read_bytes())
                return
            for name in (files.GENERATOR, *system.products):
                (self.path / name).unlink(missing_ok=True)

    def _extend(self, budget: Budget, on_collapse: str | None) -> None:
        """Replace what of the record is asked for; raises RequestError where that budget is spent already."""
        steps, minutes = budget
        if steps is None and minutes is None and on_collapse is None:
            return
        if on_collapse is not None:
            check_policy(on_collapse)
            self.record["on_collapse"] = on_collapse
        if steps is not None and steps < self.step:
            raise RequestError(f"--steps {steps}: {self.path} has trained {self.step} steps already; give more")
        if minutes is not None and minutes != self.budget.minutes and 60 * minutes < self.seconds:
            raise RequestError(
                f"--minutes {minutes:g}: {self.path} has trained {self.seconds / 60:.3g} minutes already; give more"
            )
        if steps or minutes:
            self.budget = budget
            self.record["budget"] = budget._asdict()
        with writing(self):
            folder.write_record(self.path, self.record)

    def _train(self, system: System, dataset: Dataset, lock: FileLock) -> Generator[Progress, None, None]:
        """What `advance` iterates, with the directory locked."""
        interrupt = threading.Event()
        try:
            while finding := (yield from Session(self, system, dataset, interrupt).play()):
                self._roll_back(finding, dataset)
                system, dataset = self._open()
        except GeneratorExit:  # the caller has left the loop, and the session has saved
            raise
        except BaseException:
            self._built = None  # what is in memory may be half a step; what is on the disk is whole
            raise
        finally:
            attempt_report(self.path)
            lock.release()


def watched(options: recipes.Training, dataset: Dataset, system: System) -> str | None:
    """The features in which the monitor looks at a run's samples; None where it does not."""
    if system.decoder is None or not options.monitor_every or len(dataset) < LEAST:
        return None
    return open_features("auto", dataset=dataset).name
