"""Where decoded and drawn data sets are kept: one folder a data set, one process at a time in each."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..files import TEMPORARY, cache_directory
from ..progress import Progress, Steps

MAX_NAME = 60  # characters of a name in the cache, 240 bytes at most; the end of a name makes it unique
PARTIAL = ".partial-"
STALE = 7 * 24 * 3600  # seconds that unfinished work is kept, so that it can be resumed
ASK = 0.2  # seconds between looks whether another process is ready


def root() -> Path:
    """The folder of all data sets."""
    return cache_directory() / "datasets"


def place(key: str) -> Path:
    """The folder of one."""
    return root() / re.sub(r"[^\w.-]+", "-", key)[-MAX_NAME:]  # it has no / in it


def partial(key: str) -> Path:
    """The folder where it is being made."""
    return root() / (PARTIAL + place(key).name)


def locking(name: str) -> Steps[FileLock]:
    """The lock of a data set's folder, by its name; waits for another process. OSError where there can be none."""
    lock = _lock(name)
    while True:
        try:
            lock.acquire(blocking=False)
            return lock
        except Timeout:
            yield Progress("waiting for another process that reads the same data")
            time.sleep(ASK)


def _lock(name: str) -> FileLock:
    locks = cache_directory() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / name, thread_local=False)  # a generator may be closed by another thread


def tidy(own: str) -> None:
    """Remove what killed processes left behind, but no recent work that can be resumed. The caller has locked `own`."""
    with suppress(OSError):
        for path in list(root().glob(".*")):
            name = _owner(path)
            young = path.name.startswith(PARTIAL) and time.time() - path.stat().st_mtime < STALE
            if name and not young:
                _remove(path, name if name != own else "")


def _owner(path: Path) -> str:
    """The name of the data set that a temporary folder becomes; "" for others."""
    if path.name.startswith(PARTIAL):
        return path.name.removeprefix(PARTIAL)
    return path.name.removeprefix(TEMPORARY).partition("-")[2] if path.name.startswith(TEMPORARY) else ""


def _remove(path: Path, name: str) -> bool:
    """Remove a folder, unless another process holds the lock of this name."""
    lock = _lock(name) if name else None
    try:
        if lock:
            lock.acquire(blocking=False)
        shutil.rmtree(path)
        return True
    except (OSError, Timeout):
        return False
    finally:
        if lock:
            lock.release()


def size() -> int:
    """The bytes of all data sets."""
    return sum(map(_bytes, _folders()))


def clear() -> tuple[int, int]:
    """Remove all data sets that no other process is making: (bytes freed, bytes that remain)."""
    before = size()
    for path in _folders():
        _remove(path, _owner(path) or path.name)
    left = size()
    return before - left, left


def _folders() -> list[Path]:
    return [path for path in root().iterdir() if path.is_dir()] if root().is_dir() else []


def _bytes(folder: Path) -> int:
    def each() -> Iterator[int]:
        for path in folder.rglob("*"):
            with suppress(OSError):  # removed meanwhile
                yield path.stat().st_size if path.is_file() else 0

    return sum(each())
