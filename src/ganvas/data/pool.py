"""Work on many files at once, on all cores."""

from __future__ import annotations

import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Event
from typing import BinaryIO, Protocol, TypeVar

from .decode import Form, Unreadable
from .tree import Folder
from .worker import Batch, Contents, Died, Worker, decode_batch

AT_ONCE = 32  # files worked on before their results are given
MANY = 256  # files from which on processes are worth their start
CRASH = "it crashes its decoder"

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


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(files: Iterable[str], work: Callable[[str], T]) -> Iterator[T | str]:
    """The result of `work` for each file in turn, or the reason why it failed."""

    def attempt(file: str) -> T | str:
        try:
            return work(file)
        except (Unreadable, OSError) as error:
            return str(error)

    files = iter(files)
    with ThreadPoolExecutor(min(8, cores())) as pool:
        while some := list(islice(files, AT_ONCE)):
            with warnings.catch_warnings():  # never around a yield: the caller has its own filters
                warnings.simplefilter("ignore")  # Pillow warns about files that it can decode
                results = list(pool.map(attempt, some))
            yield from results


def batches(source: Source, files: Sequence[str], form: Form) -> Iterator[Batch]:
    """The files decoded in order, AT_ONCE in a batch, on all cores and with a bounded look ahead. RequestError as
    `decode`.
    """
    parts = [files[start : start + AT_ONCE] for start in range(0, len(files), AT_ONCE)]
    if len(files) < MANY or not sys.executable:
        for part in parts:
            one_by_one = each(part, lambda file: decode_batch([(file, source.read(file))], form))
            yield Batch.joined([Batch.failed(it, form) if isinstance(it, str) else it for it in one_by_one])
        return
    crew = Crew(source, form)
    with ThreadPoolExecutor(cores()) as pool:
        ahead: deque[Future[Batch]] = deque()
        try:
            for part in parts:
                ahead.append(pool.submit(crew.decode, part))
                if len(ahead) > 2 * cores():
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            crew.close()


class Crew:
    """As many processes as threads ask at once. Where none can be started, the threads decode themselves."""

    def __init__(self, source: Source, form: Form) -> None:
        self.source, self.form = source, form
        self._free: SimpleQueue[Worker] = SimpleQueue()
        self._all: list[Worker] = []
        self._closed, self._alone = Event(), Event()

    def decode(self, files: Sequence[str]) -> Batch:
        """One batch; a file on which the process dies is unreadable."""
        batch = self._try(files)
        if batch is None and len(files) > 1:
            alone = [self._try([file]) for file in files]
            return Batch.joined([it or Batch.failed(CRASH, self.form) for it in alone])
        return batch or Batch.failed(CRASH, self.form)

    def _try(self, files: Sequence[str]) -> Batch | None:
        if self._closed.is_set():
            raise Died
        worker = self._worker()
        if worker is None:
            return decode_batch(self._contents(files), self.form)
        try:
            batch = worker.decode(self._contents(files), self.form)
        except Died:
            worker.close()
            return None
        self._free.put(worker)
        return batch

    def _worker(self) -> Worker | None:
        with suppress(Empty):
            return self._free.get_nowait()
        if not self._alone.is_set():
            try:
                worker = Worker()
            except (OSError, Died):
                self._alone.set()
            else:
                self._all.append(worker)
                return worker
        return None

    def _contents(self, files: Sequence[str]) -> Contents:
        for file in files:
            try:
                yield file, self.source.path(file) if isinstance(self.source, Folder) else self.source.read(file)
            except OSError as error:
                yield file, str(error)

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        self._closed.set()
        for worker in self._all:
            worker.close()
