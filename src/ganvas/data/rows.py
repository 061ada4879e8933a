"""Rows of an array, gathered on the disk a few at a time: more of them than the memory holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..errors import WorkError
from ..files import cache_directory

CHUNK = 2**24  # bytes of rows to work on at a time


def chunks(count: int, row_bytes: int, most: int = 1024) -> Iterator[slice]:
    """Slices that cover `count` rows: at most `most` rows and about CHUNK bytes each."""
    step = min(most, max(1, CHUNK // max(1, row_bytes)))
    return (slice(start, start + step) for start in range(0, count, step))


class Rows:
    """uint8 rows of one shape, gathered in an unnamed file of the cache.

    A context manager that closes the file; an array that was taken stays valid.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.count = 0
        with _cache_errors():
            cache_directory().mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=cache_directory())  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def append(self, rows: np.ndarray) -> None:
        """Add (n, *shape)."""
        with _cache_errors():
            self._file.write(np.ascontiguousarray(rows, dtype=np.uint8).data)
        self.count += len(rows)

    def array(self) -> np.ndarray:
        """All rows, (N, *shape), memory-mapped; N is at least 1."""
        with _cache_errors():
            self._file.flush()
        return np.memmap(self._file, np.uint8, "c", shape=(self.count, *self.shape))


@contextmanager
def _cache_errors() -> Iterator[None]:
    """Turn an OSError into a WorkError that says how to fix it."""
    try:
        yield
    except OSError as error:
        raise WorkError(
            f"cannot write to the cache {cache_directory()}: {error.strerror or error}; "
            "set GANVAS_CACHE to a directory with more room"
        ) from error
