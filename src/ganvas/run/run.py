"""A run directory: made, trained and read."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock
from PIL import Image
from torch import Tensor

from .. import files, frozen, recipes, records
from ..data import Dataset, Source, lasting
from ..errors import RequestError
from ..monitor import Finding, judge
from ..plan import choose, choose_precision, choose_threads, requested_threads
from ..progress import Steps, drain, drained
from ..reports import attempt_report
from ..reports.content import step_of
from ..shown import picture_html, text_html
from ..types import System
from . import checkpoint, folder
from .budget import Budget, TrainingProgress
from .building import assemble, first_record, refuse_many_processes, requested, trial, watched
from .items import Found, adopt, data_record, keeping, opening_items, reopening
from .session import Session
from .state import RunState
from .watch import ATTEMPTS, SLOWER, check_policy, slow

logger = logging.getLogger(__name__)


class Run(RunState):
    """A run directory. `create` makes one, `Run(path)` opens one; `advance` trains it, `sample` draws from it."""

    def __init__(self, path: str | Path) -> None:
        """Open the run at `path`. Raises RequestError where there is none."""
        super().__init__(path)
        self._data: Dataset | None = None  # on the device of the plan
        self._found: Found | None = None  # the same, until the record says where it is
        self._built: tuple[System, Dataset] | None = None

    @staticmethod
    def creating(
        recipe: str = "gan",
        data: Source | None = None,
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
    ) -> Steps[Run]:
        """Make the directory of a run that has not trained yet; `advance` trains it.

        `data` is by default the recipe's own; what comes from memory is kept in the directory. `out` is by default the
        first free `runs/<recipe>-<data>`; `options` are the recipe's, as values or text. Training ends after `steps`
        (by default the recipe's) or `minutes`. `on_collapse` is what happens when the monitor finds something wrong:
        "warn", "stop", or "rollback" to the best checkpoint with halved learning rates, at most three times. Raises
        RequestError, before anything is written, where the request is wrong.
        """
        Budget(steps, minutes).check()
        refuse_many_processes()
        check_policy(on_collapse)
        spec = str(data) if isinstance(data, str | Path) else None
        chosen = requested(recipe, {"data": spec, "steps": steps, "batch": batch}, options or {})
        plan = choose(device, precision)
        recipes.refuse_size(chosen, plan.device)
        source = chosen.data if data is None or isinstance(data, str | Path) else data
        dataset = yield from opening_items(source, chosen.reading(seed), chosen.held_out)
        folder.spare(out, lasting(dataset.spec), overwrite)
        resolved = recipes.resolve(chosen, dataset, plan)
        placed = dataset.to(plan.device)
        plan = yield from choose_threads(plan, partial(trial, resolved, placed, seed))
        if precision == "auto" and len(dataset.shape) == 3:  # points train in float32 whatever the plan
            plan = yield from choose_precision(plan, partial(trial, resolved, placed, seed))
        system = assemble(resolved, dataset, plan, seed)
        path = folder.claim(out, f"{recipe}-{dataset.name}", overwrite)
        if not isinstance(source, str):
            kept = yield from keeping(source, dataset, chosen.reading(seed), path)
            chosen, resolved = replace(chosen, data=kept), replace(resolved, data=kept)
        record = first_record(recipe, chosen, resolved, plan, seed) | {
            "data": data_record(chosen, dataset, path),
            "monitor": watched(chosen, dataset, system),
            "on_collapse": on_collapse,
            "rollbacks": [],
            "budget": Budget(None if minutes else chosen.steps, minutes)._asdict(),
        }
        files.write_json(path / files.RECORD, record)
        run = Run(path)
        run._built = system, placed
        return run

    create = staticmethod(drained(creating))

    def opening(self, data: Source | None = None, changed: bool = False) -> Steps[None]:
        """Read the data that the run trains on, which `advance` does silently where this has not been done.

        `data` says where it is, where it has moved; `changed` accepts other data. Raises RequestError where the data is
        gone, or has changed and that is not accepted, or this machine lacks the device of the run.
        """
        if data is None and (self._built or self._data):
            return
        found = yield from reopening(self, data, changed)
        choose(self.plan.device, self.plan.precision)  # refuses what this machine lacks
        self._built, self._found, self._data = None, found, found.dataset.to(self.plan.device)

    def advance(
        self, steps: int | None = None, minutes: float | None = None, on_collapse: str | None = None
    ) -> Generator[TrainingProgress, None, None]:
        """Train until the budget is spent, from where the newest checkpoint stands; yields after every step.

        `steps` or `minutes`, both counted from the start of the run, replace its budget, and `on_collapse` replaces
        what happens when the monitor finds something wrong. Closing the iterator (its `close()`,
        `contextlib.closing`, or Python when it collects an iterator that a loop has left) saves. Ctrl-C within a step
        ends training after that step, saves, and raises KeyboardInterrupt; a second one stops at once.

        Raises RequestError where the data has changed or that much is spent already, WorkError where a loss is not
        finite, a file cannot be written, or the monitor stops the run: the checkpoints on the disk then survive.
        """
        budget = Budget(steps, minutes).check()
        refuse_many_processes()
        with self.writing():
            lock = folder.hold(self.path)
        try:
            self._open()
            self._extend(budget, on_collapse)
        except BaseException:
            lock.release()
            raise
        return self._train(lock)

    @property
    def data_notes(self) -> tuple[str, ...]:
        """What was cut, chosen, guessed or left out where its data were read; nothing before they are opened."""
        dataset = self._built[1] if self._built else self._data
        return dataset.origin.notes if dataset else ()

    def generator(self, device: str = "auto") -> frozen.TrainedGenerator:
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
    def best(self) -> Path | None:
        """The checkpoint nearest to the data so far, which `ganvas.load` and `ganvas sample` read as they do a run."""
        path = self.checkpoints / checkpoint.BEST
        return path if path.is_dir() else None

    @property
    def pictures(self) -> list[Path]:
        """The sample grids so far, the oldest first."""
        return sorted((self.path / "samples").glob("step-*.png"), key=step_of)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        lines = [f"{self.recipe} on {self.data_name}, in {self.path}"]
        lines += [f"{finding.meaning} {finding.advice}" for finding in self.findings]
        if not self.pictures:
            return text_html(lines)
        with Image.open(self.pictures[-1]) as picture:
            lines[0] += f", at step {step_of(self.pictures[-1]):,}"
            return text_html(lines) + picture_html(picture)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _open(self) -> tuple[System, Dataset]:
        """Build the system and load the newest checkpoint, unless they are in memory already."""
        if self._built is None:
            drain(self.opening())
            assert self._data is not None
            self._heed_threads()
            files.clean(self.path)
            built = self._load(self._data)
            if self._found is not None:
                adopt(self, self._found)
            self._built, self._found = built, None
        return self._built

    def _heed_threads(self) -> None:
        """Take the threads that the user asks for now, and warn where those of the record would keep every bit."""
        plan, asked = self.plan, requested_threads()
        if plan.device != "cpu" or not plan.threads:
            return
        if asked and asked != plan.threads:
            logger.warning(
                "%s began with %d threads and continues with %d, as OMP_NUM_THREADS says; the last bits of what it "
                "computes may change",
                *(self.path, plan.threads, asked),
            )
            self.record["threads"] = asked
            self.write_record()
        elif plan.threads > (os.cpu_count() or 1):
            logger.warning(
                "%s began with %d threads, more than the %d cores of this machine; to be quicker, stop it and set "
                "OMP_NUM_THREADS=%d, which may change the last bits of what it computes",
                *(self.path, plan.threads, os.cpu_count(), os.cpu_count()),
            )

    def _load(self, dataset: Dataset) -> tuple[System, Dataset]:
        """Build the system and load what training continues from."""
        back = self.rollbacks
        resolved = recipes.from_json(self.recipe, self.record["resolved"])
        system = assemble(resolved, dataset, self.plan, self.record["seed"])
        slow(system, len(back))
        origin, spent = (back[-1]["to"], back[-1]["seconds"]) if back else (0, 0.0)
        saved = checkpoint.restore(self.checkpoints, system, len(back), origin)
        self.step, self.seconds, self.sums = saved.step, max(saved.seconds, spent), saved.sums
        if saved.attempt < len(back):  # which has not saved anything yet: the networks of the failed one go
            with self.writing():
                if origin:
                    best = self.checkpoints / checkpoint.BEST / files.GENERATOR
                    files.write(self.path / files.GENERATOR, best.read_bytes())
                else:
                    for name in (files.GENERATOR, *system.products):
                        (self.path / name).unlink(missing_ok=True)
        return system, dataset

    def _roll_back(self, finding: Finding, dataset: Dataset) -> None:
        """Return to the best checkpoint, or to the start, and continue at lower rates and with other noise."""
        origin = checkpoint.best_step(self.checkpoints) or 0
        entry = {"kind": finding.kind, "step": finding.step, "to": origin, "seconds": self.seconds}
        self.record["rollbacks"] = [*self.rollbacks, entry]
        self.write_record()
        with self.writing():
            for picture in self.pictures:
                if step_of(picture) > origin:
                    picture.unlink()
        logger.warning(
            "%s at step %d: back to step %d, with %g times the learning rates (rollback %d of %d)",
            *(finding.kind, finding.step, origin, SLOWER ** len(self.rollbacks), len(self.rollbacks), ATTEMPTS),
        )
        self._built = self._load(dataset)

    def _extend(self, budget: Budget, on_collapse: str | None) -> None:
        """Replace what of the record is asked for; raises RequestError where that budget is spent already."""
        steps, minutes = budget
        if steps is None and minutes is None and on_collapse is None:
            return
        if on_collapse is not None:
            check_policy(on_collapse)
            self.record["on_collapse"] = on_collapse
        if steps is not None and steps < self.step:
            problem = f"{steps} is too few: {self.path} has trained {self.step} steps already"
            raise RequestError(problem, "give more", field="steps")
        if minutes is not None and minutes != self.budget.minutes and 60 * minutes < self.seconds:
            problem = f"{minutes:g} is too few: {self.path} has trained {self.seconds / 60:.3g} minutes already"
            raise RequestError(problem, "give more", field="minutes")
        if steps or minutes:
            self.budget = budget
            self.record["budget"] = budget._asdict()
        self.write_record()

    def _train(self, lock: FileLock) -> Generator[TrainingProgress, None, None]:
        """What `advance` iterates, with the directory locked."""
        interrupt = threading.Event()
        try:
            while finding := (yield from Session(self, *self._open(), interrupt).play()):
                self._roll_back(finding, self._open()[1])
        except GeneratorExit:  # the caller has left the loop, and the session has saved
            raise
        except BaseException:
            self._built = None  # what is in memory may be half a step; what is on the disk is whole
            raise
        finally:
            attempt_report(self.path)
            lock.release()
