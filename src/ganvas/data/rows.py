"""Items gathered on the disk, a few at a time: more of them than the memory holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..errors import WorkError
from ..files import cache_directory


class Rows:
    """uint8 items of one shape, gathered in a nameless file of the cache: more than the memory holds can be built.

    A context manager that closes the file; an array that was taken stays.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.count = 0
        with _told():
            cache_directory().mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=cache_directory())  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def append(self, rows: np.ndarray) -> None:
        """Add (n, *shape)."""
        with _told():
            self._file.write(np.ascontiguousarray(rows, dtype=np.uint8).data)
        self.count += len(rows)

    def array(self) -> np.ndarray:
        """All rows, (N, *shape), mapped; N is at least 1."""
        with _told():
            self._file.flush()
        return np.memmap(self._file, np.uint8, "c", shape=(self.count, *self.shape))


@contextmanager
def _told() -> Iterator[None]:
    """Tell of a cache that cannot be written in a sentence that says what to do (WorkError)."""
    try:
        yield
    except OSError as error:
        raise WorkError(
            f"cannot write to the cache {cache_directory()}: {error.strerror or error}; "
            "set GANVAS_CACHE to a directory with more room"
        ) from error
