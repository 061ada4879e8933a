"""What is known about pictures: classes, captions, splits and attributes, from the files beside them.

Each reader gives a `Table`; `columns` says what its columns are, `matching` which pictures its rows mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from posixpath import basename, splitext

import numpy as np

from ..options import DataError, Options
from ..tree import Tree
from .beside import read_beside
from .celeba import ATTRIBUTES, LISTS, lists_beside, parse_celeba
from .columns import Known, read_columns, split_of_name
from .emoji import read_emoji_table
from .json_lines import parse_json_lines
from .matching import NONE, Index
from .separated import parse_separated
from .stylegan import parse_dataset_json
from .table import Table, some
from .text import read_text

__all__ = ["Labels", "read_emoji_labels", "read_labels"]

Parser = Callable[[str, str, str], Table]  # (text, file, place) -> its table

# The files of tables, in the order in which they are read: what a later one says replaces what an earlier one said.
PARSERS: tuple[tuple[Callable[[str], bool], Parser], ...] = (
    (lambda name: name in LISTS or name == ATTRIBUTES, parse_celeba),
    (lambda name: name == "dataset.json", parse_dataset_json),
    (lambda name: name.endswith((".csv", ".tsv")) or name == "captions.txt", parse_separated),
    (lambda name: name.endswith(".jsonl"), parse_json_lines),
)
OURS = ("captions.jsonl", "metadata.jsonl", "metadata.csv", "labels.csv")  # after all others; an error in them is one
HUB = ("metadata.jsonl", "metadata.csv")  # of the hub's, which may be about other things, such as boxes
NO_LABELS = ("dataset.json", "meta.json", "recipe.json", "package.json")  # JSON that is read, or of other things
FOREIGN = (".json", ".xml", ".mat", ".pkl", ".xlsx", ".xls", ".yaml", ".parquet")


@dataclass
class Labels:
    """What is known about pictures: a value each, "" or nan where nothing is."""

    files: list[str]
    classes: list[str]
    captions: list[str]
    splits: list[str]
    attributes: dict[str, np.ndarray] = field(default_factory=dict)  # (N,) float32
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, files: list[str]) -> Labels:
        """Nothing, about these pictures."""
        return cls(files, [""] * len(files), [""] * len(files), [""] * len(files))

    def add(self, file: str, known: Known) -> None:
        """Add what a table says. Of several rows about a picture the first counts; a note says so."""
        self.notes += known.notes
        for kind, mine, cells in (
            ("labels", self.classes, known.labels),
            ("captions", self.captions, known.captions),
            ("splits", self.splits, known.splits),
        ):
            self._add_words(file, kind, mine, known.pictures, cells or [])
        rows = np.array(known.pictures[::-1], np.int64)  # backwards: the first row of a picture is written last
        for name, values in known.attributes.items():
            here = (rows != NONE) & ~np.isnan(values[::-1])
            mine = self.attributes.setdefault(name, np.full(len(self.files), np.nan, np.float32))
            mine[rows[here]] = values[::-1][here]

    def _add_words(self, file: str, kind: str, mine: list[str], rows: list[int], cells: list[str]) -> None:
        found: dict[int, str] = {}
        again: set[int] = set()
        for row, cell in zip(rows, cells, strict=False):
            if row != NONE and cell and found.setdefault(row, cell) != cell:
                again.add(row)
        if again:
            self.notes.append(f"{file} has several {kind} for {len(again):,} pictures: the first of each is used")
        if replaced := sum(bool(mine[row]) and mine[row] != cell for row, cell in found.items()):
            self.notes.append(f"{file} replaces the {kind} that other files give {replaced:,} pictures")
        for row, cell in found.items():
            mine[row] = cell


def read_labels(tree: Tree, files: list[str], options: Options) -> Labels:
    """What the files of a tree say about its pictures, `files`, in the order of `beside.py`, PARSERS and OURS.

    DataError for a file of ours that cannot be read or used, and for columns of the options that no table has.
    """
    labels, index, columns = Labels.of(files), Index(files), set()
    parts: list[tuple[str, list[int]]] = []
    for table in _tables(tree, files, labels.notes):
        columns |= table.columns.keys()
        place, name = f"{tree.place}/{table.file}", basename(table.file)
        if not any(table.columns.values()):
            labels.notes += table.notes
            continue
        try:
            known = read_columns(table, index, options, place)
            if known.is_empty and name not in HUB:
                raise DataError(
                    f"{place} has no label, caption or number column", "name its columns file,label,caption"
                )
        except DataError as error:
            _pass_over(table.file, error, labels.notes)
            continue
        labels.add(table.file, known)
        if split := split_of_name(table.file):
            parts.append((split, known.pictures))
    _split_by_tables(labels, parts)
    for option, column in (("image", options.image), ("caption", options.caption)):
        if column and column not in columns:
            hint = f"choose from {some(sorted(columns), 8)}" if columns else "add a table such as metadata.csv"
            raise DataError(f"no table of {tree.place} has a column {column!r}", hint, field=option)
    labels.notes += lists_beside(tree.place)
    if (foreign := _foreign(tree)) and not (labels.attributes or any(labels.classes) or any(labels.captions)):
        labels.notes.append(f"not read: {foreign}; labels and captions are read from metadata.csv and the like")
    return labels


def read_emoji_labels(tree: Tree, files: list[str], pictures: str) -> Labels:
    """Names and categories of emoji-data's pictures, from its emoji.json."""
    labels, table = Labels.of(files), read_emoji_table(tree, pictures)
    labels.add(table.file, read_columns(table, Index(files), Options(), f"{tree.place}/{table.file}"))
    labels.notes.clear()  # the table also has pictures of other publishers
    return labels


def _tables(tree: Tree, files: list[str], notes: list[str]) -> Iterator[Table]:
    """The tables of a tree, in order; those that are not ours and cannot be read are noted."""
    yield read_beside(tree, files)
    tables = [file for file in tree.files if file.lower().endswith((".csv", ".tsv", ".jsonl", ".txt", ".json"))]
    others = [file for file in tables if basename(file) not in OURS]
    ours = [file for name in OURS for file in tables if basename(file) == name]
    chosen = [(file, parse) for matches, parse in PARSERS for file in others if matches(basename(file).lower())]
    chosen += [(file, parse) for file in ours for matches, parse in PARSERS if matches(basename(file).lower())]
    for file, parse in chosen:
        try:
            yield parse(read_text(tree, file), file, f"{tree.place}/{file}")
        except DataError as error:
            _pass_over(file, error, notes)


def _pass_over(file: str, error: DataError, notes: list[str]) -> None:
    """Raise the error of a table of ours; note that of another, which may be about anything."""
    if basename(file) in OURS:
        raise error
    notes.append(f"{file} is not used: {error.problem}")


def _split_by_tables(labels: Labels, parts: list[tuple[str, list[int]]]) -> None:
    """The splits of train.csv and test.csv or val.csv, where both are there."""
    if len({split for split, _ in parts}) > 1 and "train" in dict(parts):
        for split, rows in parts:
            for row in rows:
                if row != NONE and not labels.splits[row]:
                    labels.splits[row] = split


def _foreign(tree: Tree) -> str:
    """How many files of kinds that often hold labels are left, by kind."""
    some = (file for file in tree.files if file.lower().endswith(FOREIGN))
    kinds = Counter(splitext(file)[1].lower() for file in some if basename(file) not in NO_LABELS)
    return ", ".join(f"{kinds[kind]:,} {kind}" for kind in FOREIGN if kinds[kind])
