"""Labels that someone gave to samples: a CSV with a row a seed."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import RequestError
from ..latent import condition, logistic, ridge

DEGREES = 5  # different numbers, above which a column is of degrees and not of kinds
LARGEST = 2**63  # that seeds are below


class Column(NamedTuple):
    """What one column says of the seeds that it says something of."""

    name: str
    rows: Tensor  # (M,) int64, of the seeds
    values: tuple[str, ...]  # of kinds; none of degrees
    numbers: Tensor  # (M,): the kind's number int64, or the degree float64


def read_labels(path: Path) -> tuple[list[int], list[Column]]:
    """The seeds of a CSV and its columns; a cell that is empty says nothing.

    The header names a column `seed` and one or more attributes, such as `seed,smile,age`. Columns of many different
    numbers are degrees, all others are kinds. Raises RequestError for what cannot be read so.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark at the beginning
            reader = csv.DictReader(file)
            header = reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"cannot read the labels of {path} ({error}); write a CSV such as `seed,smile`") from error
    if "seed" not in header or len(header) < 2:
        raise RequestError(f"{path} has no column `seed` with others beside it; write such as `seed,smile`")
    if not rows:
        raise RequestError(f"{path} holds no row below its header; write one for each sample that you looked at")
    try:
        seeds = [int(row["seed"]) for row in rows]
    except (TypeError, ValueError) as error:
        raise RequestError(f"{path}: a seed is no whole number ({error}); write the seed of each sample") from error
    if wrong := next((seed for seed in seeds if not 0 <= seed < LARGEST), None):
        raise RequestError(f"{path}: {wrong} is no seed; write those that `ganvas sample` drew")
    names = [name for name in header if name != "seed"]
    return seeds, [column(path, name, [(row[name] or "").strip() for row in rows]) for name in names]


def column(path: Path, name: str, cells: list[str]) -> Column:
    """One column; a RequestError where it tells nothing apart."""
    said = torch.tensor([i for i, cell in enumerate(cells) if cell], dtype=torch.int64)
    told = [cell for cell in cells if cell]
    kinds = sorted(set(told))
    if len(kinds) < 2:
        raise RequestError(f"{path}: the column {name!r} holds fewer than two different values; label samples of both")
    try:
        degrees = torch.tensor([float(cell) for cell in told], dtype=torch.float64)
    except ValueError:
        degrees = torch.empty(0)
    if len(kinds) > DEGREES and len(degrees):
        if not degrees.isfinite().all():
            raise RequestError(f"{path}: the column {name!r} holds what is no finite number; leave such cells empty")
        return Column(name, said, (), degrees)
    return Column(name, said, tuple(kinds), torch.tensor([kinds.index(cell) for cell in told]))


def table_directions(z: Tensor, columns: Sequence[Column], kept_back: int) -> tuple[Tensor, list[str], list[float]]:
    """The direction to each kind of each column, and along each column of degrees, conditioned on the other columns.

    z: the latents of the rows, (N, ...), of which one in `kept_back` is only measured on. Gives the vectors (K, ...),
    their names, and how often each is right on those: about a kind, or about which side of the median a degree lies.
    """
    found: list[tuple[Column, str, Tensor, float]] = []
    for column in columns:
        for name, said, told in targets(column):
            back = torch.arange(len(said)) % kept_back == 0
            rows = column.rows
            boundary = (logistic if column.values else ridge)(z[rows[~back]], told[~back])
            above = boundary(z[rows[back]]) > 0
            found.append((column, name, boundary.normal, (above == said[back]).double().mean().item()))
    vectors = []
    for column, _, normal, _ in found:
        others = [other for theirs, _, other, _ in found if theirs is not column]
        free = others and len(others) < normal.numel()
        vectors.append(condition(normal, torch.stack(others)) if free else normal)
    return torch.stack(vectors), [name for _, name, _, _ in found], [right for *_, right in found]


def targets(column: Column) -> Iterator[tuple[str, Tensor, Tensor]]:
    """What is to be told of a column: (name, whether it holds (M,) bool, what is fitted (M,)); of two the latter."""
    if not column.values:
        yield column.name, column.numbers > column.numbers.median(), column.numbers
    for i in range(len(column.values) == 2, len(column.values)):
        holds = column.numbers == i
        yield f"{column.name}={column.values[i]}", holds, holds.double()
