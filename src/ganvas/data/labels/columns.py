"""What each column of a table is: the file, the class, the caption, the split, an attribute, or of no use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from ..decode import SUFFIXES
from ..layout import SPLITS
from ..options import DataError, Options
from .matching import NONE, Index, Match
from .table import MISSING, NUMBER, Table, numbers_of, some

FILE_KEYS = ("file", "file_name", "filename", "image")
LABEL_KEYS = ("label", "class", "class_name", "category")
CAPTION_KEYS = ("caption", "text", "prompt", "description")
SPLIT_KEYS = ("split", "partition")
PARTITION = {"0": "train", "1": "val", "2": "test"}  # CelebA's numbers


@dataclass
class Known:
    """What a table says: cells for each of its rows, "" or nan where it says nothing."""

    pictures: list[int]  # the picture of each row, or NONE
    labels: list[str] | None = None
    captions: list[str] | None = None
    splits: list[str] | None = None
    attributes: dict[str, np.ndarray] = field(default_factory=dict)  # (N,) float32
    notes: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing about any picture."""
        return not (self.labels or self.captions or self.splits or self.attributes)


def read_columns(table: Table, index: Index, options: Options, place: str) -> Known:
    """What a table says about the pictures of the index. DataError where no column names them."""
    left = dict(table.columns)
    match = _take_files(table, left, index, options, place)
    known = Known(match.rows, notes=list(table.notes))
    if match.dropped:
        known.notes.append(
            f"{table.file} names files in {match.dropped}/, which is not here: the rest of the path counts"
        )
    if missing := [name for name, row in zip(_names(table, left), match.rows, strict=True) if name and row == NONE]:
        known.notes.append(f"{table.file} names {len(missing):,} files that are not here, such as {missing[0]!r}")
    captions = [options.caption] if options.caption in left else _of_kind(left, CAPTION_KEYS)
    known.captions = _first_given(left, captions)
    known.splits = _take_splits(left)
    _take_labels(table.file, left, known)
    texts = []
    for name, cells in left.items():
        if numbers := numbers_of(cells):
            known.attributes[name] = numbers.values
            if numbers.others:
                known.notes.append(
                    f"{table.file}: {len(numbers.others):,} cells of {name!r} are not numbers and count as missing, "
                    f"such as {numbers.others[0]!r}"
                )
        elif any(cell.lower() not in MISSING for cell in cells):
            texts.append(name)
    _use_texts(table, left, texts, known)
    return known


def _take_files(table: Table, left: dict[str, list[str]], index: Index, options: Options, place: str) -> Match:
    """The pictures of the rows; removes the column that names them."""
    chosen = [options.image] if options.image in left else _of_kind(left, FILE_KEYS)
    names = _first_given(dict(left), chosen)
    if names is not None:
        match = index.match(names, table.file)
        if match.count or options.image in chosen:
            if "" in names and options.image not in chosen:
                raise DataError(f"a row of {place} names no file", "give each row a 'file'")
            for column in chosen:
                del left[column]
            return match
    if any(name.lower().endswith(SUFFIXES) for name in table.columns):
        problem = f"{place} has no column 'file': its first line is about a picture"
        raise DataError(problem, "begin it with a header such as file,label,caption")
    if column := _naming_column(table, left, index, {*chosen}):
        return index.match(left.pop(column), table.file)
    given = [name for name in names or () if name]
    if not given:
        raise DataError(f"{place} names no file: it has no column 'file'", "begin it with such as file,label,caption")
    problem = f"none of the {len(given)} files that {place} names exists, such as {given[0]!r}"
    raise DataError(problem, "give their paths relative to its folder")


def _naming_column(table: Table, left: dict[str, list[str]], index: Index, tried: set[str]) -> str:
    """The column whose cells name the most pictures: whole names, or names without suffix in most rows."""
    best, column = 0, ""
    for name, cells in left.items():
        if name in tried or name.lower() in (*LABEL_KEYS, *CAPTION_KEYS, *SPLIT_KEYS):
            continue
        distinct = [cell for cell in dict.fromkeys(cells) if cell]
        count = index.match(distinct, table.file).count
        whole = any(cell.lower().endswith(SUFFIXES) for cell in distinct)
        if count > best and (whole or (2 * count >= len(distinct) and 2 * len(distinct) >= len(cells))):
            best, column = count, name
    return column


def _names(table: Table, left: dict[str, list[str]]) -> list[str]:
    """The names of the files, of which `left` has no column any more."""
    return _first_given(dict(table.columns), [name for name in table.columns if name not in left]) or []


def _of_kind(columns: Iterable[str], keys: tuple[str, ...]) -> list[str]:
    """The columns with one of these names, in the order of the names."""
    return sorted((name for name in columns if name.lower() in keys), key=lambda name: keys.index(name.lower()))


def _first_given(columns: dict[str, list[str]], names: list[str]) -> list[str] | None:
    """The cells of these columns, which are removed: in each row the first that is not empty."""
    taken = [columns.pop(name) for name in names]
    if len(taken) < 2:
        return taken[0] if taken else None
    return [next(filter(None, cells), "") for cells in zip(*taken, strict=True)]


def _take_splits(left: dict[str, list[str]]) -> list[str] | None:
    """The split of each row, from a column whose cells are all names of splits, or CelebA's numbers of them."""
    for name in _of_kind(left, SPLIT_KEYS):
        words = SPLITS | (PARTITION if name.lower() == "partition" else {})
        distinct = {cell.lower() for cell in left[name]} - MISSING
        if distinct and distinct <= words.keys():
            return [words.get(cell.lower(), "") for cell in left.pop(name)]
    return None


def _take_labels(file: str, left: dict[str, list[str]], known: Known) -> None:
    """The column of the classes: words rather than numbers, and those whole; 3.0 is class 3."""
    columns = _of_kind(left, LABEL_KEYS)
    numbers = {name: {cell for cell in left[name] if cell.lower() not in MISSING} for name in columns}
    numbers = {name: cells for name, cells in numbers.items() if all(NUMBER.fullmatch(cell.lower()) for cell in cells)}
    name = next((name for name in columns if name not in numbers), columns[0] if columns else None)
    if name is None:
        return
    whole = {cell: cell if cell.isdecimal() else f"{float(cell):.0f}" for cell in numbers.get(name, ())}
    if any(float(cell) % 1 for cell in whole):  # also of infinity
        known.notes.append(f"{file}: {name!r} holds fractions, and is taken for an attribute, not a class")
        return
    cells = left.pop(name)
    known.labels = [whole.get(cell, "") for cell in cells] if name in numbers else cells


def _use_texts(table: Table, left: dict[str, list[str]], texts: list[str], known: Known) -> None:
    """A text column with few values is the class where it is the only one; others are named as not used."""
    unused = [*texts, *table.nested]
    if len(texts) == 1 and known.labels is None:
        cells = [cell for cell, row in zip(left[texts[0]], known.pictures, strict=True) if cell and row != NONE]
        if 2 <= len({*cells}) <= len(cells) / 2:
            known.labels = left[texts[0]]
            unused.remove(texts[0])
            known.notes.append(
                f"{table.file}: {texts[0]!r} is taken for the class ({len({*cells}):,} values), the only column of "
                "words: name it caption if it is that"
            )
    if unused:
        known.notes.append(f"{table.file}: {some(unused)} not used: rename one label, or set caption={unused[0]}")


def split_of_name(file: str) -> str | None:
    """The split of a table that is called train.csv or the like."""
    return SPLITS.get(PurePosixPath(file).stem.lower())
