"""The directory of a run: which one it is, and what of it may be replaced."""

from __future__ import annotations

import itertools
import re
import shutil
from contextlib import suppress
from pathlib import Path
from shlex import quote

from filelock import FileLock, Timeout

from .. import files
from ..data.places import is_path
from ..data.store import is_store
from ..errors import RequestError
from ..files import RECORD

LOCK = "run.lock"
OURS = (
    *(RECORD, files.LOG, "events.out.tfevents.*", "samples", "checkpoints", *files.NETWORKS),
    *(files.REPORT, files.METRICS, files.NEIGHBOURS),
)


def claim(out: str | Path | None, name: str, overwrite: bool) -> Path:
    """An empty directory for a new run: `out`, or else the first free one of runs/<name>, runs/<name>-2, ...

    Raises RequestError where `out` holds something, unless that is a run and `overwrite` gives it up, and where the
    directory cannot be made.
    """
    path = Path("runs" if out is None else out)
    try:
        return first_free(path, re.sub(r"[^\w.+-]+", "-", name)) if out is None else emptied(path, overwrite)
    except RequestError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL byte
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise RequestError(f"cannot make the run directory {path}: {reason}", "choose another", field="out") from error


def spare(out: str | Path | None, spec: str, overwrite: bool) -> None:
    """A RequestError where replacing the run in `out` would remove the very data of the new one."""
    if out is None or not overwrite or not is_path(spec):
        return
    if Path(out).expanduser().resolve() in Path(spec).parents:
        raise RequestError(
            f"{out} holds the data {spec}, which `overwrite` would remove", "choose another", field="out"
        )


def resumption(path: Path) -> str:
    """The command that continues a run."""
    return f"ganvas resume {quote(str(path))}"


def first_free(parent: Path, name: str) -> Path:
    """Make parent/name, or parent/name-2 and so on; two runs that start at once get two."""
    for i in itertools.count(1):
        path = parent / (name if i == 1 else f"{name}-{i}")
        with suppress(FileExistsError):
            path.mkdir(parents=True)
            return path
    raise AssertionError("count() does not end")


def emptied(path: Path, overwrite: bool) -> Path:
    """Make `path`; where it holds a run that may go, remove what ganvas wrote of it and leave any other file."""
    path.mkdir(parents=True, exist_ok=True)
    if not any(path.iterdir()):
        return path
    if not (path / RECORD).is_file():
        problem = f"{path} is not empty and is not a run of ganvas, so it is left alone"
        raise RequestError(problem, "choose another", field="out")
    if not overwrite:
        fix = f"`{resumption(path)}` continues it, `overwrite` replaces it"
        raise RequestError(f"{path} holds a run already", fix, field="out")
    lock = hold(path)
    kept = (found for found in path.iterdir() if re.fullmatch(r"data(-\d+)?", found.name) and is_store(found))
    for found in (*kept, *(found for pattern in OURS for found in path.glob(pattern))):
        if found.is_dir():
            shutil.rmtree(found)
        else:
            found.unlink()
    lock.release()
    return path


def hold(path: Path) -> FileLock:
    """The lock of a run directory: one process at a time may write there.

    The operating system keeps it and takes it back from a process that dies, however that happens; it ends with its
    `release`, or when Python collects it. Raises RequestError where another holds it.
    """
    lock = FileLock(path / LOCK, thread_local=False)  # a generator may be closed by another thread
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise RequestError(f"{path} is being trained already", "wait for its end, or stop it with Ctrl-C") from None
    return lock
