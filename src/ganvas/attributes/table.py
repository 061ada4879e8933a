"""Directions from a person's labels of samples: a CSV with a row a seed."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import RequestError
from ..latent import condition, logistic, ridge

KINDS = 5  # different values; a column of more numbers is a measure, not a class
LARGEST = 2**63  # that seeds are below


class Column(NamedTuple):
    """A column of labels, without its empty cells."""

    name: str
    rows: Tensor  # (M,) int64, which seeds it labels
    classes: tuple[str, ...]  # empty for a measure
    labels: Tensor  # (M,): classes int64, or numbers float64


def read_labels(path: Path) -> tuple[list[int], list[Column]]:
    """The seeds of a CSV and its columns; empty cells are unknown.

    The header names a column `seed` and one or more attributes, such as `seed,smile,age`. Columns of many different
    numbers are measures, all others are classes. Raises RequestError for a file that is not so.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark at the beginning
            reader = csv.DictReader(file)
            header = reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise wrong(f"cannot read the labels of {path} ({error})", "write a CSV such as seed,smile") from error
    if "seed" not in header or len(header) < 2:
        raise wrong(f"{path} has no column seed next to others", "write such as seed,smile")
    if not rows:
        raise wrong(f"{path} has no row below its header", "write one for each sample that you looked at")
    try:
        seeds = [int(row["seed"]) for row in rows]
    except (TypeError, ValueError) as error:
        found = f"{path} has a seed that is not a whole number ({error})"
        raise wrong(found, "write the seed of each sample") from error
    if outside := next((seed for seed in seeds if not 0 <= seed < LARGEST), None):
        raise wrong(f"{path} has the seed {outside}, which is out of range", "write those that ganvas sample drew")
    names = [name for name in header if name != "seed"]
    return seeds, [read_column(path, name, [(row[name] or "").strip() for row in rows]) for name in names]


def wrong(problem: str, hint: str) -> RequestError:
    """The error for a file of labels."""
    return RequestError(problem, hint, field="labels")


def read_column(path: Path, name: str, cells: list[str]) -> Column:
    """One column. Raises RequestError where all of its values are the same."""
    rows = torch.tensor([i for i, cell in enumerate(cells) if cell], dtype=torch.int64)
    known = [cell for cell in cells if cell]
    classes = sorted(set(known))
    if len(classes) < 2:
        raise wrong(f"column {name!r} of {path} has fewer than two different values", "label samples of both")
    try:
        numbers = torch.tensor([float(cell) for cell in known], dtype=torch.float64)
    except ValueError:
        numbers = torch.empty(0)
    if len(classes) <= KINDS or not len(numbers):
        return Column(name, rows, tuple(classes), torch.tensor([classes.index(cell) for cell in known]))
    if not numbers.isfinite().all():
        raise wrong(f"column {name!r} of {path} has a number that is not finite", "leave such cells empty")
    return Column(name, rows, (), numbers)


def table_directions(z: Tensor, columns: Sequence[Column], kept_back: int) -> tuple[Tensor, list[str], list[float]]:
    """The direction to each class and along each measure, conditioned on the other columns.

    z: the latents of the rows, (N, ...), of which one in `kept_back` is held out. Gives the vectors (K, ...), their
    names, and the accuracy of each on held-out rows: on a class, or on which side of the median a measure is.
    """
    found: list[tuple[Column, str, Tensor, float]] = []
    for column in columns:
        for name, positive, fitted in targets(column):
            held_out = torch.arange(len(fitted)) % kept_back == 0
            boundary = (logistic if column.classes else ridge)(z[column.rows[~held_out]], fitted[~held_out])
            right = (boundary(z[column.rows[held_out]]) > 0) == positive[held_out]
            found.append((column, name, boundary.normal, right.double().mean().item()))
    vectors = []
    for column, _, normal, _ in found:
        others = [other for theirs, _, other, _ in found if theirs is not column]
        free = others and len(others) < normal.numel()
        vectors.append(condition(normal, torch.stack(others)) if free else normal)
    return torch.stack(vectors), [name for _, name, _, _ in found], [right for *_, right in found]


def targets(column: Column) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The directions of a column: (name, (M,) bool to predict, (M,) to fit); of two classes only the second."""
    if not column.classes:
        yield column.name, column.labels > column.labels.median(), column.labels
    for i in range(len(column.classes) == 2, len(column.classes)):
        positive = column.labels == i
        yield f"{column.name}={column.classes[i]}", positive, positive.double()
