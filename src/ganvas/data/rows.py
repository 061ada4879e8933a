"""Rows of an array, gathered on the disk a few at a time: more of them than the memory holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from ..errors import WorkError
from ..files import cache_directory
from ..progress import Progress, Steps

CHUNK = 2**24  # bytes of rows to work on at a time


def chunks(count: int, row_bytes: int, most: int = 1024) -> Iterator[slice]:
    """Slices that cover `count` rows: at most `most` rows and about CHUNK bytes each."""
    step = min(most, max(1, CHUNK // max(1, row_bytes)))
    return (slice(start, start + step) for start in range(0, count, step))


def gathering(parts: Iterable[np.ndarray | None], shape: tuple[int, ...], what: str, total: int) -> Steps[np.ndarray]:
    """The rows of the parts, (n, *shape) each and None for an item without one, in an array (N, *shape), N at least 1.

    It is uint8, memory-mapped in an unnamed file of the cache; a WorkError says what to do where that has no room.
    """
    with cache_file() as file:
        count = done = 0
        for part in parts:
            if part is not None:
                file.write(np.ascontiguousarray(part, dtype=np.uint8).data)
                count += len(part)
            done += 1 if part is None else len(part)
            yield Progress(what, done, total)
        file.flush()
        return np.memmap(file, np.uint8, "c", shape=(count, *shape))


@contextmanager
def cache_file() -> Iterator[IO[bytes]]:
    """An unnamed file of the cache. WorkError as `room`."""
    with room(), tempfile.TemporaryFile(dir=cache_directory()) as file:
        yield file


@contextmanager
def room() -> Iterator[None]:
    """Makes the cache's directory; a WorkError says what to do where the cache cannot be written."""
    try:
        cache_directory().mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise WorkError(
            f"cannot write to the cache {cache_directory()}: {error.strerror or error}; "
            "set GANVAS_CACHE to a directory with more room"
        ) from error
