"""Which picture a name in a table means."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from typing import NamedTuple

from ..layout import split_named

NONE = -1  # a name of no picture, or of more than one


class Match(NamedTuple):
    """The pictures that names mean."""

    rows: list[int]  # the number of the picture of each name, or NONE
    dropped: str = ""  # the folders that all names begin with, which were ignored

    @property
    def count(self) -> int:
        """How many names mean a picture."""
        return sum(row != NONE for row in self.rows)


class Index:
    """Pictures by name. All names of a table are understood in the same way, so that none means a stranger."""

    def __init__(self, files: list[str]) -> None:
        """files: sorted."""
        self.files = files
        self._tails = cache(self._count_tails)

    @cached_property
    def _known(self) -> dict[str, int]:
        return _named(self.files, range(len(self.files)))

    def match(self, names: Iterable[str], file: str) -> Match:
        """What the names of the table `file` mean, by the first of these rules that finds the most of them.

        They are relative to the folder of the table; to a folder beside it with its name (train/ for train.csv); to
        the top; or they are the ends of paths below its folder, such as the name alone, where only one picture has
        it. Each is with or without suffix. If that finds none, folders that all names begin with are left out.
        """
        paths = [_tidy(name) for name in names]
        found = self._best(paths, file)
        if found.count:
            return found
        common = _common_folder(paths)
        if not common:
            return found
        stripped = self._best([path and posixpath.relpath(path, common) for path in paths], file)
        split = split_named(common)
        others = (split_named(self.files[row]) for row in stripped.rows if row != NONE)
        if split and any(other not in (None, split) for other in others):
            return found  # the test pictures are missing, and those of train have their names
        return stripped._replace(dropped=common)

    def _best(self, paths: list[str], file: str) -> Match:
        folder, own = posixpath.split(posixpath.splitext(file)[0])
        best, wanted = Match([NONE] * len(paths)), sum(map(bool, paths))
        for rule in self._rules(folder, own):
            found = Match([rule(path) if path else NONE for path in paths])
            best = found if found.count > best.count else best
            if best.count == wanted:
                break
        return best

    def _rules(self, folder: str, own: str) -> tuple[Callable[[str], int], ...]:
        def below(folder: str) -> Callable[[str], int]:
            if not folder:
                return lambda path: self._known.get(path, NONE)
            start = f"{folder}/"
            return lambda path: self._known.get(
                start + path if path[:1] not in "./" else posixpath.normpath(posixpath.join(folder, path)), NONE
            )

        def tail(path: str) -> int:
            return self._tails(folder, path.count("/")).get(path, NONE)

        beside = posixpath.join(folder, own)
        return below(folder), *([below(beside)] if self._has(beside) else []), below(""), tail

    def _has(self, folder: str) -> bool:
        first = bisect_left(self.files, f"{folder}/")
        return first < len(self.files) and self.files[first].startswith(f"{folder}/")

    def _count_tails(self, folder: str, depth: int) -> dict[str, int]:
        """Pictures below a folder by the end of their path, with `depth` folders."""
        first = bisect_left(self.files, f"{folder}/") if folder else 0
        last = bisect_left(self.files, f"{folder}0") if folder else len(self.files)  # 0 follows /
        tails = ["/".join(file.split("/")[-depth - 1 :]) for file in self.files[first:last]]
        return _named(tails, range(first, last))


def _named(paths: list[str], numbers: range) -> dict[str, int]:
    """Numbers by path with and without suffix; NONE where two have it. A whole path comes before one without suffix."""
    found: dict[str, int] = {}
    for keys in ((posixpath.splitext(path)[0] for path in paths), paths):
        own: dict[str, int] = {}
        for key, number in zip(keys, numbers, strict=True):
            own[key] = NONE if key in own else number
        found |= own
    return found


def _tidy(name: str) -> str:
    """A name as paths in a tree are written."""
    name = name.strip().replace("\\", "/")
    return posixpath.normpath(name) if name else ""


def _common_folder(paths: list[str]) -> str:
    try:
        return posixpath.commonpath([posixpath.dirname(path) for path in paths if path])
    except ValueError:  # no path at all, or some from the root and some not
        return ""
