"""Our own files: written whole or not at all, so that a kill leaves no half of one; read with a check of types."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    from pydantic import TypeAdapter

TEMPORARY = ".tmp-"  # the start of every temporary name, so that what a kill leaves behind is recognised
# What a run directory holds; `records` says what is in the first three.
RECORD, LOG, METRICS = "recipe.json", "log.jsonl", "metrics.json"
REPORT, NEIGHBOURS = "report.html", "neighbours.png"
# Trained networks, the one that a command takes by default first.
GENERATOR, CLASSIFIER, AUTOENCODER, CLIP = NETWORKS = tuple(
    f"{kind}.safetensors" for kind in ("generator", "classifier", "autoencoder", "clip")
)
FIX = "copy it back, or make it again"

T = TypeVar("T")


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
    if not target.name:  # of "" and "."
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
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


def write_json(path: Path, content: object) -> None:
    """Write JSON. Raises OSError where that fails."""
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write(path, text.encode(errors="backslashreplace"))  # half of a surrogate pair, of a name that is not UTF-8


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz. Raises OSError where that fails."""
    import numpy as np

    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType] - no array is called allow_pickle
    write(path, buffer.getvalue())


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


# -- reading -----------------------------------------------------------------------------------------------------------


def damaged(path: Path, reason: object, fix: str = FIX) -> RequestError:
    """The error for a file of ours that does not hold what we write there."""
    if isinstance(reason, OSError):
        return RequestError(f"{path} cannot be read ({(reason.strerror or str(reason)).lower()})", fix)
    return RequestError(f"{path} is damaged ({reason})", fix)


@contextmanager
def reading(path: Path, fix: str = FIX) -> Iterator[None]:
    """Turns whatever goes wrong in the block, which reads a file of ours, into a RequestError that names the file."""
    try:
        yield
    except RequestError:
        raise
    except Exception as error:  # damaged files raise whatever their readers meet first
        raise damaged(path, error if isinstance(error, OSError) else f"{type(error).__name__}: {error}", fix) from error


def read_json(path: Path, kind: type[T], fix: str = FIX) -> T:
    """What a JSON file holds, of the type `kind`, a TypedDict: see `checked`. RequestError where it is damaged."""
    with reading(path, fix):
        return checked(json.loads(path.read_bytes()), kind)


def read_lines(path: Path, kind: type[T], fix: str = FIX) -> list[T]:
    """The lines of a log in JSON, [] without a file; a last line that a kill cut short is left out. As `read_json`."""
    with reading(path, fix):
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        return [checked(json.loads(line), kind) for line in lines if line.endswith(b"\n")]


def read_arrays(path: Path, fix: str = "name an .npz that ganvas wrote") -> dict[str, np.ndarray]:
    """The arrays of an .npz; a RequestError where it cannot be read as one."""
    import numpy as np

    with reading(path, fix), path.open("rb") as file, np.load(file, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def checked(content: Any, kind: type[T]) -> T:
    """The content as it is, further keys included, where it has the types that `kind` says.

    Raises ValueError, which says what is wrong with which key.
    """
    from pydantic import ValidationError

    try:
        _adapter(kind).validate_python(content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")) from None
    return content


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
