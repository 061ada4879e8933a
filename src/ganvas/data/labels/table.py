"""A table of what is known about pictures, as every reader gives it, and the numbers in its cells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII)
WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-"}
LARGEST = float(np.finfo(np.float32).max)


class Table(NamedTuple):
    """Cells by column, one for each row; "" where there is none."""

    file: str  # where it stands in the tree
    columns: dict[str, list[str]]
    nested: tuple[str, ...] = ()  # columns of lists and objects, which are not read
    notes: tuple[str, ...] = ()


def table_of(file: str, rows: list[dict[str, str]], nested: Iterable[str] = ()) -> Table:
    """A table of rows that may lack cells."""
    names = dict.fromkeys(name for row in rows for name in row)
    return Table(file, {name: [row.get(name, "") for row in rows] for name in names}, tuple(nested))


class Numbers(NamedTuple):
    """The numbers of a column."""

    values: np.ndarray  # (N,) float32, nan where a cell has none
    others: list[str]  # the cells that hold something else


def numbers_of(cells: list[str]) -> Numbers | None:
    """True, false, yes, no as 1 and 0; -1 and 1 alone as 0 and 1; other numbers. None if most cells are others."""
    known = {cell: _number(cell) for cell in set(cells)}
    others = [cell for cell in cells if known[cell] is None and cell.lower() not in MISSING]
    found = {value for value in known.values() if value is not None}
    if not found or 2 * len(others) > sum(known[cell] is not None for cell in cells):
        return None
    if found <= {-1.0, 1.0} and -1.0 in found:
        known = {cell: value and max(value, 0.0) for cell, value in known.items()}
    lookup = {cell: np.nan if value is None else value for cell, value in known.items()}
    return Numbers(np.array([lookup[cell] for cell in cells], np.float32), others)


def _number(cell: str) -> float | None:
    lower = cell.lower()
    if lower in WORDS:
        return WORDS[lower]
    value = float(lower) if NUMBER.fullmatch(lower) else None
    return None if value is None or abs(value) > LARGEST else value


def some(names: Iterable[str], most: int = 3) -> str:
    """A few names in quotes, and how many more there are."""
    names = list(names)
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + rest
