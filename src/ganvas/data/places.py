"""Where the data of a run is now: runs and data are moved, and copied to other machines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from ..files import RECORD


class Place(NamedTuple):
    """A spec that opens, and what to say of it."""

    spec: str
    note: str = ""  # where it was found, if that is not where it was


def way_to(spec: str, run: Path) -> str | None:
    """The relative path from a run directory to its data; None of a name, and between drives."""
    if not is_path(spec):
        return None
    try:
        return Path(os.path.relpath(spec, run.resolve())).as_posix()
    except ValueError:
        return None


def find(run: Path, record: Mapping[str, Any]) -> Place:
    """The data of a run, by its record: where it was; if nothing is there, by the same relative path as at its start,
    next to the run or its parent, or in the current directory. What is inside the run directory moves with it.

    Where it is nowhere, this is the recorded spec, which then fails to open.
    """
    spec, way = record["options"]["data"], record["data"].get("relative")
    if not is_path(spec):
        return Place(spec)
    home, name = run.resolve(), PureWindowsPath(spec).name  # which knows both kinds of slashes
    if way and not way.startswith(".."):
        return Place(str(home / way) if (home / way).exists() else spec)
    if not is_gone(spec):
        return Place(spec)
    beside = (folder / name for folder in (home.parent, home.parent.parent, Path.cwd()))
    for candidate in (*([home / way] if way else []), *beside):
        if candidate.exists() and not (candidate / RECORD).exists():  # runs are named after their data
            found = str(candidate.resolve())
            return Place(found, f"{spec} is gone, and the data is read from {found}")
    return Place(spec)


def is_path(spec: str) -> bool:
    """Whether a recorded spec is a path, of any system: those are absolute, and names are not."""
    return Path(spec).is_absolute() or PureWindowsPath(spec).is_absolute()


def is_gone(spec: str) -> bool:
    """Whether a recorded spec is a path where nothing is."""
    return is_path(spec) and not Path(spec).exists()
