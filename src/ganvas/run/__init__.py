"""A run: training that is written down as it goes, and that goes on exactly where a kill, a crash or Ctrl-C stopped it.

`recipe.json` is the request, `log.jsonl` what was measured, `samples/` the same latents again and again beside real
items, `checkpoints/` what training remembers, and `generator.safetensors` the generator alone.
"""

from __future__ import annotations

import errno
import logging
import math
import platform
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import files, frozen, media, recipes
from ..data import NAMES, Dataset, open_data
from ..errors import RequestError, WorkError
from ..loop import train
from ..plan import Plan, choose
from ..types import System
from . import checkpoint, folder, journal
from .budget import Budget, Progress, due
from .interrupt import deferred
from .progress import track

SHOWN = 64  # images in a sample grid: seeds 0-63
POINTS = 2000  # points in a sample plot
NAMED = 3  # of the files that cannot be read, in a warning

logger = logging.getLogger(__name__)


class Run:
    """A run directory. `create` makes one, `Run(path)` opens one; `advance` trains it, `sample` draws from it."""

    def __init__(self, path: str | Path) -> None:
        """Open the run at `path`. Raises RequestError where there is none."""
        self.path = Path(path)
        self.record = folder.read_record(self.path)
        self.recipe: str = self.record["recipe"]
        self.options = recipes.from_json(self.recipe, self.record["options"])
        self.budget = Budget(**self.record["budget"])
        self.step, self.seconds = 0, 0.0
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
        overwrite: bool = False,
    ) -> Run:
        """Make the directory of a run that has not trained yet; `advance` trains it.

        `data` is by default the recipe's own, `out` the first free `runs/<recipe>-<data>`; `options` are the recipe's,
        as values or text. Training ends after `steps` (by default the recipe's) or `minutes`. Raises RequestError,
        before anything is written, where the request is wrong.
        """
        Budget(steps, minutes).check()
        given = {"data": data, "steps": steps, "batch": batch}
        settings = {**(options or {}), **{key: value for key, value in given.items() if value is not None}}
        chosen = recipes.override(recipes.recipe(recipe), settings)
        for name in ("batch", "accumulate", "steps"):
            if getattr(chosen, name) < 1:
                raise RequestError(f"{name}={getattr(chosen, name)} is not possible; give 1 or more")
        chosen = replace(chosen, data=lasting(chosen.data))
        dataset = open_items(chosen, seed)
        plan = choose(device, precision)
        system = assemble(chosen, dataset, plan, seed)
        path = folder.claim(out, f"{recipe}-{dataset.name}", overwrite)
        record = {
            "ganvas": version("ganvas"),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "recipe": recipe,
            "options": recipes.to_json(chosen),
            "seed": seed,
            "plan": asdict(plan),
            "threads": torch.get_num_threads(),
            "budget": Budget(None if minutes else chosen.steps, minutes)._asdict(),
            "data": {
                "fingerprint": dataset.fingerprint,
                "count": len(dataset),
                "shape": dataset.shape,
                "class_names": dataset.class_names,
                "unreadable": len(dataset.origin.unreadable),
            },
        }
        folder.write_record(path, record)
        run = cls(path)
        run._built = system, dataset.to(plan.device)
        return run

    def advance(self, steps: int | None = None, minutes: float | None = None) -> Generator[Progress, None, None]:
        """Train until the budget is spent, from where the newest checkpoint stands; yields after every step.

        `steps` or `minutes`, both counted from the start of the run, replace its budget. Ctrl-C within a step ends
        training after it, saves, and raises KeyboardInterrupt; a second one stops at once. Leaving the loop early saves
        as soon as the iterator is closed: by its `close()`, by `contextlib.closing`, or when Python collects it.

        Raises RequestError where the data has changed or that much is spent already, WorkError where a loss is not
        finite or a file cannot be written: the checkpoints on the disk then survive.
        """
        budget = Budget(steps, minutes).check()
        system, dataset = self._open()
        if steps is not None and steps < self.step:
            raise RequestError(f"--steps {steps}: {self.path} has trained {self.step} steps already; give more")
        if minutes is not None and minutes != self.budget.minutes and 60 * minutes < self.seconds:
            raise RequestError(
                f"--minutes {minutes:g}: {self.path} has trained {self.seconds / 60:.3g} minutes already; give more"
            )
        if steps or minutes:
            self.budget = budget
            self.record["budget"] = budget._asdict()
            with self._writing():
                folder.write_record(self.path, self.record)
        return self._train(system, dataset)

    def generator(self, device: str = "cpu") -> frozen.Frozen:
        """The generator of the newest checkpoint, alone."""
        return frozen.load(self.path, device)

    def sample(
        self, seeds: Iterable[int] = range(64), *, truncation: float = 1.0, label: int | str | None = None
    ) -> Tensor:
        """One item a seed: images (N, C, H, W) in [-1, 1], or points (N, D). See `Frozen.sample`."""
        return self.generator().sample(seeds, truncation=truncation, label=label)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of `log.jsonl`."""
        return journal.read(self.path / journal.NAME)

    @property
    def pictures(self) -> list[Path]:
        """The sample grids so far, the oldest first."""
        return sorted((self.path / "samples").glob("step-*.png"))

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
            system = assemble(self.options, dataset, plan, self.record["seed"])
            files.clean(self.path)
            self.step, self.seconds = checkpoint.restore(self.path / "checkpoints", system)
            self._built = system, dataset.to(plan.device)
        return self._built

    def _train(self, system: System, dataset: Dataset) -> Generator[Progress, None, None]:
        """The loop behind `advance`."""
        o, share = self.options, self.budget.share(self.step, self.seconds)
        if share >= 1:
            return
        begin, last, interrupt = time.perf_counter() - self.seconds, False, threading.Event()
        steps = train(
            system,
            dataset,
            steps=self.budget.steps or sys.maxsize,
            batch=o.batch,
            start=self.step,
            seed=self.record["seed"],
            accumulate=o.accumulate,
        )
        try:
            with self._writing(), journal.Journal(self.path, self.step) as log:
                while not last:
                    with deferred(interrupt):  # the caller's own code gets its Ctrl-C as ever
                        if self.step == 0:
                            self._draw(log)
                        log.resume()
                        step, stats = next(steps)
                        log.add(stats, o.batch * o.accumulate)
                        self.step, self.seconds = step + 1, time.perf_counter() - begin
                        share = self.budget.share(self.step, self.seconds)
                        last = share >= 1 or interrupt.is_set()
                        progress = self._settle(log, share, last)
                    try:
                        yield progress
                    except KeyboardInterrupt:  # that the caller hands on
                        interrupt.set()
                    except GeneratorExit:  # the caller has left the loop
                        if not last:
                            with deferred(interrupt):
                                self._save()
                        return
        except BaseException:
            self._built = None  # what is in memory may be half a step; what is on the disk is whole
            raise
        if share < 1:
            raise KeyboardInterrupt(f"stopped and saved at step {self.step}; `{folder.resumption(self.path)}` goes on")

    def _settle(self, log: journal.Journal, share: float, last: bool) -> Progress:
        """Log, draw and save what is due after a step; the checkpoint comes last, and seals the rest."""
        o = self.options
        logs, draws, saves = (last or due(self.step, n) for n in (o.log_every, o.sample_every, o.checkpoint_every))
        means = log.means() if logs or draws or saves else {}
        for name, value in means.items():
            self._check(math.isfinite(value), name)
        log.pause()
        speed = log.write(self.step, self.seconds, means) if logs else None
        if draws:
            self._draw(log)
        if saves:
            self._save()
        return Progress(self.step, self.seconds, share, means if logs else None, speed)

    def _check(self, finite: bool, what: str) -> None:
        """Raises WorkError where training has diverged: such weights are not worth saving."""
        if not finite:
            raise WorkError(
                f"training diverged: {what} at step {self.step} is not finite; {self._survivor()}; train again with a "
                "lower learning rate (--set lr=...), a penalty (--set penalty=r1:1) or --precision fp32"
            )

    def _frozen(self) -> frozen.Frozen | None:
        """A copy of the generator as it stands, the one that users would get; None where the recipe has none."""
        system, dataset = self._open()
        if system.decoder is None:
            return None
        return frozen.take(system.decoder, self.recipe, dataset.class_names, dataset.device)

    def _draw(self, log: journal.Journal) -> None:
        """The picture of the same latents as ever beside real items."""
        generator, (_, dataset) = self._frozen(), self._open()
        if generator is None:
            return
        points = len(dataset.shape) == 1
        count = min(POINTS if points else SHOWN, len(dataset))
        fake, real = generator.sample(range(count)), dataset.batch(0, count).x
        image = media.scatter(fake, real) if points else media.side_by_side(fake, real)
        media.save_png(image, self.path / "samples" / f"step-{self.step:06d}.png")
        log.picture(self.step, image)

    def _save(self) -> None:
        """Write the generator, then the checkpoint, so that a checkpoint never has an older generator beside it."""
        system, _ = self._open()
        for name, module in system.modules.items():
            self._check(all(bool(p.isfinite().all()) for p in module.parameters()), f"a weight of the {name}")
        if generator := self._frozen():
            generator.write(self.path / frozen.NAME)
        checkpoint.write(self.path / "checkpoints", system, checkpoint.Saved(self.step, self.seconds))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns a full disk and the like into a WorkError that says what survives and what to do."""
        try:
            yield
        except OSError as error:
            mend = "free some space" if error.errno == errno.ENOSPC else "mend that"
            raise WorkError(
                f"training stopped at step {self.step}: {(error.strerror or str(error)).lower()} "
                f"({error.filename or self.path}); {self._survivor()}; {mend}, then `{folder.resumption(self.path)}`"
            ) from error

    def _survivor(self) -> str:
        saved = checkpoint.steps(self.path / "checkpoints")
        return f"the last good checkpoint is {saved[0]}" if saved else "there was no checkpoint yet"


def open_items(options: recipes.Training, seed: int) -> Dataset:
    """The data set that the options ask for; warns of files in it that cannot be read."""
    dataset = open_data(
        options.data, size=options.size or None, channels=options.channels or None, seed=seed, track=track
    )
    if unreadable := dataset.origin.unreadable:
        names = ", ".join(file for file, _ in unreadable[:NAMED]) + (", ..." if len(unreadable) > NAMED else "")
        logger.warning("%d files of %s cannot be read and are left out: %s", len(unreadable), options.data, names)
    return dataset


def assemble(options: recipes.Training, dataset: Dataset, plan: Plan, seed: int) -> System:
    """The system of a run before its first step: its weights are a function of the seed."""
    torch.manual_seed(seed)
    return recipes.build(options, dataset, plan)


def lasting(spec: str) -> str:
    """A data spec that means the same from any directory: paths are made absolute."""
    path = Path(spec).expanduser()
    return str(path.resolve()) if spec not in NAMES and path.exists() else spec
