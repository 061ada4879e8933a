"""The loop behind `Run.advance`: training, and what is written down of it."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import FrameType

from PIL.Image import Image

from .. import files, frozen, media
from ..data import Dataset
from ..errors import WorkError
from ..loop import train
from ..monitor import Finding, diverged
from ..plan import computing
from ..types import Stats, System
from . import checkpoint, journal
from .budget import TrainingProgress, due, summary
from .state import RunState
from .watch import Watch, stream

SHOWN = 64  # images in a sample grid: seeds 0-63
POINTS = 2000  # points in a sample plot


class Diverged(WorkError):
    """A number of the training is not finite."""


class Session:
    """Training from where the run stands until its budget is spent, Ctrl-C, or the caller leaves."""

    def __init__(self, run: RunState, system: System, dataset: Dataset, interrupt: threading.Event) -> None:
        """`interrupt` is set by Ctrl-C, and ends training after a step."""
        self.run, self.system, self.dataset, self.interrupt = run, system, dataset, interrupt
        self.options = run.options

    def play(self) -> Generator[TrainingProgress, None, Finding | None]:
        """Train; yields after every step. Gives the finding for which the run must be rolled back, if there is one."""
        run, plan = self.run, self.run.plan
        if run.budget.share(run.step, run.seconds) >= 1:
            return None
        self.begin, self.last = time.perf_counter() - run.seconds, self.interrupt.is_set()
        with run.writing(), journal.Journal(run.path, run.step, run.sums) as log:
            watch = self.watch = Watch(run, self.dataset, log.lines)
            if generator := self.frozen():  # a kill may have come between a checkpoint and its becoming the best
                watch.keep_best(log.lines, generator)
            steps = self.steps()
            while not self.last:
                with deferred(self.interrupt), computing(plan):  # the caller's code has its own Ctrl-C and threads
                    try:
                        progress = self.step(log, steps)
                    except Diverged:
                        if not watch.can_roll_back:
                            raise
                        return diverged(run.step)
                try:
                    yield progress
                except GeneratorExit:  # the caller has left the loop
                    if not self.last and watch.trouble is None:
                        with deferred(self.interrupt):
                            self.save(log)
                    return None
                if watch.trouble and watch.can_roll_back:
                    return watch.trouble
                if watch.trouble:
                    raise WorkError(stopped(run, watch.trouble))
        if run.budget.share(run.step, run.seconds) < 1:
            raise KeyboardInterrupt
        return None

    def steps(self) -> Iterator[tuple[int, Stats]]:
        """The steps of the loop from where the run stands."""
        run, o, limit = self.run, self.options, self.run.budget.steps or sys.maxsize
        seed = stream(run.record["seed"], len(run.rollbacks))
        return train(
            self.system, self.dataset, steps=limit, batch=o.batch, start=run.step, seed=seed, accumulate=o.accumulate
        )

    def step(self, log: journal.Journal, steps: Iterator[tuple[int, Stats]]) -> TrainingProgress:
        """Play one step, and write down what is due after it."""
        run, o = self.run, self.options
        if run.step == 0:
            self.draw(log)
        log.resume()
        step, stats = next(steps)
        log.add(stats, o.batch * o.accumulate)
        run.step, run.seconds = step + 1, time.perf_counter() - self.begin
        share = run.budget.share(run.step, run.seconds)
        self.last = share >= 1 or self.interrupt.is_set()
        return self.settle(log, share)

    def settle(self, log: journal.Journal, share: float) -> TrainingProgress:
        """Log, draw and save what is due after a step; the checkpoint comes last, and seals the rest."""
        run, o, watch, last = self.run, self.options, self.watch, self.last
        logs, draws, saves = (due(run.step, n) for n in (o.log_every, o.sample_every, o.checkpoint_every))
        looks = watch.looks(run.step)
        means = log.means() if last or logs or looks or draws or saves else {}
        log.pause()
        figures = self.draw(log) if last or draws else {}
        if looks and (generator := self.frozen()):
            figures |= watch.measure(generator)
        means |= figures
        for name, value in means.items():
            self.check(math.isfinite(value), name)
        reports = last or logs or looks or bool(figures)
        found = watch.judge([*log.lines, {"step": run.step, **means}], share >= 1) if looks else []
        speed = log.write(run.step, run.seconds, means, found, clear=logs or looks) if reports else None
        if reports:
            watch.check_speed(log.lines)
        if (last or saves or watch.trouble) and not (watch.trouble and watch.can_roll_back):
            self.save(log)
        return TrainingProgress(
            "training",
            share,
            1.0,
            summary(means, speed, watch.kinds) if reports else "",
            saved=run.path,
            step=run.step,
            seconds=run.seconds,
            means=means if reports else None,
            speed=speed,
            findings=tuple(watch.kinds),
        )

    def check(self, finite: bool, what: str) -> None:
        """Raises Diverged where a number is not finite: such weights are not worth saving."""
        if not finite:
            raise Diverged(
                f"training diverged: {what} at step {self.run.step} is not finite; {self.run.survivor}; train "
                "again with a lower learning rate (`lr`), a `penalty` such as r1:1, or fp32 as `precision`"
            )

    def frozen(self) -> frozen.TrainedGenerator | None:
        """A copy of the generator as it stands, the one that users would get; None where the recipe has none."""
        if self.system.decoder is None:
            return None
        return frozen.copy_generator(
            self.system.decoder, self.run.recipe, self.dataset.class_names, self.dataset.device
        )

    def draw(self, log: journal.Journal) -> dict[str, float]:
        """Draw what the system shows of itself; gives the figures that it measured for that."""
        image, figures = self.system.examine() if self.system.examine else (self.samples(), {})
        if image is not None:
            media.save_png(image, self.run.path / "samples" / f"step-{self.run.step:06d}.png")
            log.picture(self.run.step, image)
        return figures

    def samples(self) -> Image | None:
        """The picture of the same latents each time, next to real items; None where there is no generator."""
        generator = self.frozen()
        if generator is None:
            return None
        most, show = (POINTS, media.scatter) if len(self.dataset.shape) == 1 else (SHOWN, media.side_by_side)
        count = min(most, len(self.dataset))
        return show(generator.sample(range(count)), self.dataset.batch(0, count).x)

    def save(self, log: journal.Journal) -> None:
        """Write the networks alone, then the checkpoint, so that none is older than its checkpoint."""
        run = self.run
        for name, module in self.system.modules.items():
            self.check(all(bool(p.isfinite().all()) for p in module.parameters()), f"a weight of the {name}")
        generator = self.frozen()
        if generator is not None:
            generator.write(run.path / files.GENERATOR)
        for name, write in self.system.products.items():
            write(run.path / name)
        run.sums = log.pending()
        saved = checkpoint.Saved(run.step, run.seconds, len(run.rollbacks), run.sums)
        checkpoint.write(run.checkpoints, self.system, saved)
        if generator is not None:
            self.watch.keep_best(log.lines, generator)


def stopped(run: RunState, finding: Finding) -> str:
    """What is said of a run that a finding has stopped."""
    tried = f" after {len(run.rollbacks)} rollbacks" if run.rollbacks else ""
    return (
        f"stopped and saved at step {run.step}{tried}, since the monitor found {finding.kind}: {finding.meaning} "
        f"{finding.advice} To continue all the same, resume {run.path} with `on_collapse` warn"
    )


@contextmanager
def deferred(asked: threading.Event) -> Iterator[None]:
    """While it lasts, the first Ctrl-C sets the event and tears nothing apart; the second interrupts at once.

    Only where Python's own handler is in place: in other threads, under `nohup` or within a host that has its own, the
    event is never set.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
