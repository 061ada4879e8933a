"""Work on many files at once, on all cores."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import BinaryIO, Protocol, TypeVar

from .decode import Unreadable

AT_ONCE = 32  # files worked on before their results are given

T = TypeVar("T")


class Source(Protocol):
    """Files by name: a folder, an archive, a table. Both raise OSError; several threads call them at once."""

    place: str

    def read(self, file: str) -> bytes:
        """The content of a file."""
        ...

    def open(self, file: str) -> BinaryIO:
        """The content, of which only the beginning may be needed; it can be sought in."""
        ...


def each(files: Iterable[str], work: Callable[[str], T]) -> Iterator[T | str]:
    """The result of `work` for each file in turn, or the reason why it failed."""

    def attempt(file: str) -> T | str:
        try:
            return work(file)
        except (Unreadable, OSError) as error:
            return str(error)

    files = iter(files)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        while some := list(islice(files, AT_ONCE)):
            with warnings.catch_warnings():  # never around a yield: the caller has its own filters
                warnings.simplefilter("ignore")  # Pillow warns about files that it can decode
                results = list(pool.map(attempt, some))
            yield from results
