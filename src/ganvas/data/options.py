"""What a caller asks of a data set, beside its name."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import RequestError

MAX_SIZE = 4096


class NoSplit(RequestError):
    """The source has no test split."""


class Wanted(NamedTuple):
    """The form that items should take; None leaves it to the data."""

    size: int | None = None  # pixels of a side; images are square
    channels: int | None = None  # 1 (grey) or 3 (RGB)
    split: str = "train"  # or "test"
    seed: int = 0

    def check(self) -> Wanted:
        """Itself, or the reason why nothing can be like this (RequestError)."""
        if self.size is not None and not 1 <= self.size <= MAX_SIZE:
            raise RequestError(f"size {self.size} is out of range; choose 1 to {MAX_SIZE} pixels")
        if self.channels not in (None, 1, 3):
            raise RequestError(f"channels {self.channels} is impossible; choose 1 (grey) or 3 (colour)")
        if self.split not in ("train", "test"):
            raise RequestError(f"unknown split {self.split!r}; choose 'train' or 'test'")
        if not 0 <= self.seed < 2**63:
            raise RequestError(f"seed {self.seed} is out of range; choose 0 or more, below 2^63")
        return self

    def only_train(self, name: str) -> Wanted:
        """Itself, refused where the other split is asked of a source that has none."""
        if self.split != "train":
            raise NoSplit(f"{name} has no {self.split} split; leave the split at 'train'")
        return self
