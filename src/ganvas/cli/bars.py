"""Progress on a terminal and in a notebook as a bar, elsewhere as plain lines; and Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ..progress import Interrupted, Note, Progress, Steps

T = TypeVar("T")
LINES = 50  # of plain text, at most, for one piece of work


class Display(Protocol):
    """What shows how far work has come."""

    last: Progress | None  # the last report

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def note(self, text: str) -> None:
        """Print a line that stays."""

    def show(self, progress: Progress) -> None:
        """Show a report."""


def watch(steps: Steps[T], console: Console | None = None) -> T:
    """Run long work to its end while showing it. Raises Interrupted after Ctrl-C, where that has saved the work."""
    console = console or Console(highlight=False, soft_wrap=True)
    shown = cell() if console.is_jupyter else Bars(console) if console.is_terminal else Lines(console)
    with shown, interruptible(shown) as asked:
        kept = None  # the last report of something saved
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                return end.value
            except KeyboardInterrupt as stop:  # of a worker process, which has saved its run
                if asked.is_set() and kept is not None:
                    raise Interrupted(kept) from stop
                raise
            if isinstance(progress, Note):
                shown.note(progress.what)
                continue
            shown.show(progress)
            kept = progress if progress.saved else kept
            if asked.is_set() and kept is not None:
                steps.close()  # which saves
                raise Interrupted(kept)


def cell() -> Display:
    """What a notebook has."""
    from .notebook import Cell  # here, since only a notebook has IPython

    return Cell()


@contextmanager
def interruptible(shown: Display) -> Iterator[threading.Event]:
    """While it lasts, Ctrl-C lets work that can be saved end its step, and interrupts any other at once.

    A second Ctrl-C always interrupts. Only where Python's own handler is in place: in other threads, or in a host that
    has its own, the event is never set.
    """
    asked = threading.Event()
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield asked
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set() or shown.last is None or shown.last.saved is None:
            asked.clear()  # nothing is saved
            raise KeyboardInterrupt
        asked.set()

    signal.signal(signal.SIGINT, handle)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Bars:
    """One bar for each kind of work; that of work that is saved stays on the screen."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn(compact=True))
        self.bar = Bar(*columns, TextColumn("{task.fields[text]}", markup=False), console=console)
        self.last: Progress | None = None

    def __enter__(self) -> None:
        self.bar.start()

    def __exit__(self, *_: object) -> None:
        self.clear()
        self.bar.stop()

    def clear(self) -> None:
        """Remove the bar of work that leaves nothing behind."""
        if self.last is not None and self.last.saved is None:
            self.bar.remove_task(self.task)

    def note(self, text: str) -> None:
        self.bar.console.print(text, markup=False)

    def show(self, progress: Progress) -> None:
        """Move the bar, or begin another."""
        if self.last is None or self.last.what != progress.what:
            self.clear()
            self.task = self.bar.add_task(progress.label, total=progress.total, text="")
        self.last = progress
        self.bar.update(self.task, description=progress.label, completed=progress.done, total=progress.total)
        if progress.text:
            self.bar.update(self.task, text=progress.text)


class Lines:
    """Plain lines for files and pipes: of work that says something, at most LINES, and always the last."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.last: Progress | None = None
        self.kept: Progress | None = None
        self.printed = -1  # of LINES parts of the work, how many were done when a line was printed

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.finish()

    def note(self, text: str) -> None:
        self.console.print(text, markup=False)

    def show(self, progress: Progress) -> None:
        """Print the line that is due, if one is."""
        if self.last is not None and self.last.what != progress.what:
            self.finish()
            self.printed = -1
        self.last = progress
        if not progress.text:
            return
        self.kept = progress
        if int(LINES * progress.share) > self.printed:
            self.finish()

    def finish(self) -> None:
        """Print the last line that has not been printed yet."""
        if self.kept is not None:
            self.console.print(f"{self.kept.label}  {self.kept.text}", markup=False)
            self.printed, self.kept = int(LINES * self.kept.share), None
