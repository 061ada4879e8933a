"""The options with which a data set is opened, and the errors of opening one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..errors import RequestError

MAX_SIZE = 4096


class DataError(RequestError):
    """The data is at fault: an unknown name, a damaged file."""

    def __init__(self, problem: str, hint: str = "", *, field: str = "data") -> None:
        super().__init__(problem, hint, field=field)


class NoSplit(DataError):
    """The data has no test split."""


@contextmanager
def blaming(problem: str, hint: str = "", kinds: type[Exception] | tuple[type[Exception], ...] = OSError) -> Iterator:
    """Turns these errors of the block into a DataError: the problem, what the error says, and the hint."""
    try:
        yield
    except RequestError:  # says already what is wrong
        raise
    except kinds as error:
        reason = repr(error) if isinstance(error, LookupError | TypeError | AttributeError) else error
        raise DataError(f"{problem}: {getattr(error, 'strerror', None) or reason}", hint) from error


class Options(NamedTuple):
    """The form that items should take; None leaves it to the data."""

    size: int | None = None  # pixels of a side; images are square
    channels: int | None = None  # 1 (grey) or 3 (RGB)
    split: str = "train"  # or "test"
    seed: int = 0

    def check(self) -> None:
        """Raise RequestError for an impossible value."""
        if self.size is not None and not 1 <= self.size <= MAX_SIZE:
            raise RequestError(f"{self.size} is out of range", f"choose 1 to {MAX_SIZE} pixels", field="size")
        if self.channels not in (None, 1, 3):
            raise RequestError(f"{self.channels} is not possible", "choose 1 (grey) or 3 (colour)", field="channels")
        if self.split not in ("train", "test"):
            raise RequestError(f"{self.split!r} is unknown", "choose 'train' or 'test'", field="split")
        if not 0 <= self.seed < 2**63:
            raise RequestError(f"{self.seed} is out of range", "choose 0 or more, below 2^63", field="seed")

    def require_train(self, name: object) -> None:
        """Raise NoSplit if the test split is asked for: the data set `name` has none."""
        if self.split != "train":
            raise NoSplit(f"{name} has no {self.split} split", "use 'train'", field="split")
