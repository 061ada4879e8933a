"""How far long work has come. Such work is a generator: it yields `Progress` and returns its result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True)
class Progress:
    """One report of long work. Closing the generator that yields it cancels the work."""

    what: str  # what is being done: "reading files", "training"
    done: float = 0
    total: float | None = None  # None where it is not known
    text: str = ""  # more, in a few words: losses, a score
    image: Image | None = None  # what it looks like so far, where there is a picture of it
    saved: Path | None = None  # what closing the generator now saves, for work that can be continued from there

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1; 0 without a total."""
        return self.done / self.total if self.total else 0.0

    @property
    def label(self) -> str:
        """What is done, and how far, in words."""
        return f"{self.what} {self.done:,} of {self.total:,}" if self.total else self.what


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended work that was saved; `last` is how far it came."""

    def __init__(self, last: Progress) -> None:
        super().__init__()
        self.last = last


Steps = Generator[Progress, None, T]  # of work that returns a T


def drain(steps: Steps[T]) -> T:
    """Run long work to its end, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def drained(work: Callable[P, Steps[T]]) -> Callable[P, T]:
    """The function that runs such work to its end, with the same arguments."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return drain(work(*args, **kwargs))

    return run


def counted(items: Sequence[T] | Iterable[T], what: str, total: int | None = None) -> Steps[list[T]]:
    """The items of an iterable in a list, with a report after each."""
    total = len(items) if total is None and isinstance(items, Sequence) else total
    found: list[T] = []
    for item in items:
        found.append(item)
        yield Progress(what, len(found), total)
    return found


@dataclass(frozen=True)
class Note(Progress):
    """A line that stays on the screen: what was chosen, rounded, guessed or left out on the way."""


def clock(seconds: float) -> str:
    """75 -> '1:15'; hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
