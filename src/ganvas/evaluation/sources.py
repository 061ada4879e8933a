"""The samples to measure and the real items to compare them with, read or drawn by their rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import alpha, records
from ..data import Dataset, Options, lasting, opening
from ..data import Source as Data
from ..data.options import DataError, NoSplit
from ..data.places import find
from ..errors import RequestError
from ..files import GENERATOR, RECORD
from ..frozen import TrainedGenerator, load_generator
from ..progress import Steps
from ..sizes import Size


@dataclass(frozen=True)
class Items:
    """Some items of something that may be too large to hold: `take(rows)` gives them."""

    take: Callable[[Tensor], Tensor]  # rows (n,) int64 -> images (n, C, H, W) in [-1, 1], or points (n, D)
    rows: Tensor  # (N,) int64
    labels: Tensor | None = None  # (N,) int64, where they are known
    numbers: int = 1  # of an item

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice) -> Tensor:
        """These items themselves: few enough to hold."""
        return self.take(self.rows[rows])

    def at(self, index: Tensor | slice) -> Items:
        """Those of the index, in its order."""
        return replace(self, rows=self.rows[index], labels=None if self.labels is None else self.labels[index])


@dataclass(frozen=True)
class Source:
    """The samples: a generator, which draws as many as are wanted, or existing items."""

    facts: dict[str, Any]  # for the protocol
    draw: Callable[[int], Items]  # as many items, or all where there are fewer
    warnings: tuple[str, ...] = ()
    generated: bool = False  # whether a generator draws them


@dataclass(frozen=True)
class Training:
    """What a run was trained on, as its record says."""

    data: str
    reading: Options
    held_out: float  # the share of the items that it was not trained on, where the data has no test split
    fingerprint: str
    note: str = ""  # where the data was found, if that is not where it was
    changed: int = 0  # the last step at which other data replaced it


@dataclass(frozen=True)
class Real:
    """The data: the items of each split in a random order, and what they came from."""

    dataset: Dataset  # the training split
    train: Items
    test: Items | None
    tested_by: str  # where the items of `test` come from, in words
    facts: dict[str, Any]  # for the protocol


def trained_on(source: object) -> Training | None:
    """What the run or checkpoint at `source` was trained on; None where there is neither. RequestError if damaged."""
    run = run_directory(Path(source)) if isinstance(source, str | Path) else None
    if run is None:
        return None
    record = records.read_record(run)
    options, place = record["options"], find(run, record)
    return Training(
        data=place.spec,
        reading=Options.of(options, record["seed"]),
        held_out=options["held_out"],
        fingerprint=record["data"]["fingerprint"],
        note=place.note,
        changed=record.get("data_changed", [{"step": 0}])[-1]["step"],
    )


def run_directory(path: Path) -> Path | None:
    """The run directory at `path`, or that of the checkpoint at `path`; None where there is none."""
    if (path / RECORD).is_file():
        return path
    above = path.resolve().parent.parent
    return above if (path / GENERATOR).is_file() and (above / RECORD).is_file() else None


def open_generator(source: object, device: str) -> TrainedGenerator | None:
    """The generator that `source` is or holds; None where it is items."""
    if isinstance(source, TrainedGenerator):
        return source
    if isinstance(source, str | Path):
        path = Path(source)
        if path.suffix == ".safetensors" or any((path / name).is_file() for name in (RECORD, GENERATOR)):
            return load_generator(path, device)
    return None


def generated_items(generator: TrainedGenerator, source: object, seed: int) -> Source:
    """A generator as a source: n samples have the latents of the seeds from `seed * n`.

    Images are rounded to 8 bits, as saved pictures are, so that a run is measured as the files that it would write.
    """

    def take(rows: Tensor) -> Tensor:
        x = generator.sample(rows.tolist())
        return x if x.ndim == 2 else alpha.possible(x).add(1).mul(127.5).round().div(127.5).sub(1)

    def draw(n: int) -> Items:
        rows = torch.arange(seed * n, (seed + 1) * n)
        labels = None if generator.keywords else generator.labels(rows.tolist())
        return Items(take, rows, labels, prod(generator.decoder.shape))

    facts: dict[str, Any] = {"source_kind": "generator", "recipe": generator.recipe}
    if isinstance(source, str | Path):
        path = Path(source)
        file = path / GENERATOR if path.is_dir() else path
        facts |= {"path": str(source), "generator": hashlib.sha256(file.read_bytes()).hexdigest()[:16]}
        if (path / RECORD).is_file():
            steps = [int(folder.name.removeprefix("step-")) for folder in path.glob("checkpoints/step-*")]
            facts |= {"source_kind": "run", "step": max(steps, default=None)}
    return Source(facts, draw, generated=True)


def opening_items(source: object, like: Dataset, seed: int) -> Steps[Source]:
    """Existing items in the shape of the data: a folder, an archive, or what is in memory."""
    shape = like.shape
    if isinstance(source, Tensor):
        if tuple(source.shape[1:]) != shape or not source.is_floating_point():
            raise RequestError(
                f"it is {source.dtype} of shape {tuple(source.shape)}, and an item of the data has shape {shape}",
                "give floating point numbers of the data's shape, images in [-1, 1]",
                field="source",
            )
        every = shuffled(source, seed, lambda rows: source[rows].float(), None)
        return Source({"source_kind": "tensor"}, lambda n: every.at(slice(n)))
    if not isinstance(source, str | Path | Dataset):
        raise RequestError(
            f"{type(source).__name__} cannot be measured", "give a run, a generator, a path or a tensor", field="source"
        )
    try:
        dataset, warnings = (source, ()) if isinstance(source, Dataset) else (yield from _resized(str(source), shape))
    except DataError as error:
        raise RequestError(error.problem, error.hint, field="source") from error
    if dataset.shape != shape:
        raise RequestError(
            f"{dataset.name} has items of shape {dataset.shape}, and the data {shape}",
            "give samples of that shape",
            field="source",
        )
    facts = {"source_kind": "items", "path": dataset.spec or dataset.name, "fingerprint": dataset.fingerprint}
    every = all_items(dataset, seed)
    if dataset.class_names != like.class_names:  # their numbers mean something else
        every = replace(every, labels=None)
    return Source(facts, lambda n: every.at(slice(n)), warnings)


def _resized(spec: str, shape: tuple[int, ...]) -> Steps[tuple[Dataset, tuple[str, ...]]]:
    """The items of a path in the data's shape, and a warning where they had to be resized."""
    if len(shape) == 1:
        return (yield from opening(spec)), ()
    size = Size(shape[2], shape[1])
    dataset = yield from opening(spec, Options(size, shape[0]))
    smallest, largest = dataset.origin.smallest, dataset.origin.largest
    if smallest is None or largest is None:  # an array, which opens in its own size
        height, width = (yield from opening(spec)).shape[1:]
        smallest = largest = (width, height)
    if smallest == largest == size:
        return dataset, ()
    found = "×".join(map(str, smallest)) + ("" if smallest == largest else f" to {'×'.join(map(str, largest))}")
    return dataset, (
        f"The samples are {found} pixels and were cut and resized to the data's {size}, which "
        "changes every figure: compare only with figures of samples that were resized in the same way.",
    )


def shuffled(items: Tensor, seed: int, take: Callable[[Tensor], Tensor], labels: Tensor | None) -> Items:
    """All items in a random order that the seed gives."""
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))
    return Items(take, order, None if labels is None else labels.cpu()[order], prod(items.shape[1:]))


def all_items(dataset: Dataset, seed: int) -> Items:
    """All items of a data set in a random order that the seed gives."""
    return shuffled(dataset.items, seed, lambda rows: dataset.at(rows).x, dataset.labels)


def opening_real(spec: Data, training: Training | None, shape: tuple[int, ...] | None, seed: int) -> Steps[Real]:
    """The data, in the form of the generator's items where there is one (`shape`), and as the run saw it."""
    if isinstance(spec, Dataset):
        train, test = spec, spec.held_out
    else:
        share = 0.0
        if training is not None and isinstance(spec, str | Path) and lasting(str(spec)) == training.data:
            reading, share = training.reading, training.held_out
        else:
            reading = Options(seed=training.reading.seed if training else 0)  # what is drawn: what the run has seen
            if shape is not None and len(shape) == 3:
                reading = reading._replace(size=Size(shape[2], shape[1]), channels=shape[0])
        train = yield from opening(spec, reading)
        try:
            test = yield from opening(spec, reading.like(train)._replace(split="test"))
        except NoSplit:
            train = train.hold_out(share) if share else train
            test = train.held_out
    if shape is not None and train.shape != shape:
        raise RequestError(
            f"the items of {train.name} have shape {train.shape}, and the generator's {shape}",
            "give data like that it was trained on",
            field="data",
        )
    facts = {"spec": train.spec, "name": train.name, "shape": list(train.shape), "fingerprint": train.fingerprint}
    if test is not None:
        facts["test_fingerprint"] = test.fingerprint
    tested_by = "the test split" if test is None or test.split != "held out" else "a share held out of training"
    return Real(train, all_items(train, seed), None if test is None else all_items(test, seed), tested_by, facts)
