"""Files and folders that are whole or absent: a reader, or a kill at any moment, never meets half of one."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".tmp-"  # the start of every temporary name, so that what a kill leaves behind is recognised


def cache_directory() -> Path:
    """Where what can be made or fetched again is kept: `GANVAS_CACHE`, or `~/.cache/ganvas`."""
    chosen = os.environ.get("GANVAS_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "ganvas"


def write(path: Path, data: bytes, *, flush: bool = True) -> None:
    """Write `data` to `path` through `new_file`; an older file at `path` survives a failure."""
    with new_file(path, flush=flush) as temporary:
        temporary.write_bytes(data)


@contextmanager
def new_file(target: Path, *, flush: bool = True) -> Iterator[Path]:
    """A temporary name next to `target`, which becomes `target`, flushed to the disk, when the block ends well.

    flush=False leaves it to the system when: for many files that can be made again. Raises OSError where the disk is
    full or the folder cannot be written; an older file at `target` then survives.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{TEMPORARY}{os.getpid()}-{target.name}")
    try:
        yield temporary
        if flush:
            sync(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    if flush:
        sync(target.parent)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`, which becomes `target`, flushed to the disk, when the block ends well.

    Raises OSError where it cannot be written, or where `target` is by then a folder with something in it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}-{target.name}")
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.iterdir():
            sync(file)
        sync(temporary)
        temporary.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk, so that a rename survives a power cut.

    Only POSIX lets a folder be opened, and so be flushed.
    """
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clean(folder: Path) -> None:
    """Remove the temporaries that a kill left behind anywhere in a folder."""
    for leftover in folder.rglob(f"{TEMPORARY}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
