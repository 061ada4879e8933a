"""CelebA's lists: attributes of -1 and 1, the partition into train, val and test, and who it is."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ..options import DataError
from .table import Table

FIX = "copy it again, or remove it"
LISTS = {"list_eval_partition.txt": "partition", "identity_celeba.txt": "identity"}  # file and one number a row
ATTRIBUTES = "list_attr_celeba.txt"  # how many rows, the names of the columns, then file and one number each


FOLDER = "img_align_celeba"  # of the pictures, which the lists lie beside


def lists_beside(place: str) -> tuple[str, ...]:
    """A note of lists beside CelebA's folder of pictures, where that was opened alone."""
    path = Path(place)
    names = (ATTRIBUTES, *LISTS, "identity_CelebA.txt")
    found = [name for name in names if path.name == FOLDER and (path.parent / name).is_file()]
    return (f"{found[0]} beside {FOLDER}/ is not read: give the folder above",) if found else ()


def parse_celeba(text: str, file: str, place: str) -> Table:
    """The table of one of CelebA's lists. DataError where a row has too few or too many values."""
    rows = [[sys.intern(cell) for cell in line.split()] for line in text.split("\n") if line.strip()]
    name = re.split("/", file)[-1].lower()
    names, notes = [LISTS.get(name, "")], []
    if name == ATTRIBUTES:
        if len(rows) < 2 or len(rows[0]) != 1 or not rows[0][0].isdecimal():
            raise DataError(f"{place} does not begin with how many rows it has, and their names", FIX)
        count, names = int(rows[0][0][:18]), rows[1]
        rows = rows[2:]
        if count != len(rows):
            notes.append(f"{file} says that it has {count:,} rows, and has {len(rows):,}")
    for row in rows:
        if len(row) != len(names) + 1:
            raise DataError(f"the row of {row[0]!r} in {place} has {len(row) - 1} values for {len(names)} names", FIX)
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names, 1)}
    return Table(file, {"file": [row[0] for row in rows], **columns}, notes=tuple(notes))
