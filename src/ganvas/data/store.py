"""Data sets on the disk: what `Dataset.save` writes, and the cache of decoded and drawn data sets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import files
from ..errors import RequestError, WorkError
from ..progress import Steps
from ..records import Store
from . import cache
from .dataset import FORMAT, HELD_OUT, LARGE, Dataset, Modes, Origin
from .journal import ROWS
from .options import DataError, Options, blaming

COMPARED = 1000  # rows at most, of a file that is taken for the items of a data set
Opened = Dataset | Steps[Dataset]  # what a reader gives: a data set, or a generator that returns one


def is_store(path: Path) -> bool:
    """Whether `path` is a folder that `Dataset.save` wrote."""
    return (path / "meta.json").is_file() and any((path / f"{kind}.npy").is_file() for kind in ("images", "points"))


def read_store(path: Path, options: Options) -> Dataset:
    """The data set of a store, with a test split if one was held out; arrays of more than LARGE bytes are mapped."""
    if options.split == "test" and is_store(path / HELD_OUT):
        return read_store(path / HELD_OUT, options._replace(split="train"))
    options.require_train(path)
    with blaming(f"the store {path} is damaged", "remove it and convert its source again", Exception):
        meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise DataError(f"{path} is a store of format {meta['format']}, not {FORMAT}", "convert its source again")
        files.checked(meta, Store)
        images = path / "images.npy"
        dataset = Dataset(
            name=meta["name"],
            items=_array(images if images.exists() else path / "points.npy"),
            labels=_array(labels) if (labels := path / "labels.npy").exists() else None,
            class_names=tuple(meta["class_names"]),
            captions=meta["captions"] and tuple(meta["captions"]),
            attributes=_attributes(path, meta["attributes"]),
            modes=meta["modes"] and Modes(torch.tensor(meta["modes"]["centres"]), meta["modes"]["sigma"]),
            origin=_origin(meta["origin"]),
            fingerprint=meta["fingerprint"],
        )
        _check(dataset)
        return dataset


def _origin(record: Mapping[str, Any]) -> Origin:
    smallest, largest = (record[key] and tuple(record[key]) for key in ("smallest", "largest"))
    unreadable = tuple((file, reason) for file, reason in record["unreadable"])
    splits = tuple((split, count) for split, count in record.get("splits", ()))  # 0.1 had no notes, levels and splits
    notes, levels = tuple(record.get("notes", ())), record.get("levels", "")
    return Origin(record["place"], unreadable, smallest, largest, notes, levels=levels, splits=splits)


def _check(dataset: Dataset) -> None:
    """Raise ValueError if the parts of a store do not match."""
    form, labels, n = (dataset.items.ndim, dataset.items.dtype), dataset.labels, len(dataset)
    if form not in ((4, torch.uint8), (2, torch.float32)) or not n:
        raise ValueError(f"its items are {dataset.items.dtype} of shape {tuple(dataset.items.shape)}")
    if labels is None and dataset.classes:
        raise ValueError("its labels are missing")
    if labels is not None and (labels.dtype != torch.int64 or labels.shape != (n,) or labels.min() < 0):
        raise ValueError("its labels are not one number for each item")
    if labels is not None and dataset.classes and labels.max() >= dataset.classes:
        raise ValueError(f"its labels go up to {labels.max()}, for {dataset.classes} classes")
    if any(len(part) != n for part in (dataset.captions or dataset.items, *(dataset.attributes or {}).values())):
        raise ValueError("its captions or attributes are not one for each item")


def _array(path: Path) -> torch.Tensor:
    # Mapped copy-on-write, not read-only: torch has no read-only tensors and would warn.
    large = path.stat().st_size > LARGE
    return torch.from_numpy(np.load(path, mmap_mode="c" if large else None, allow_pickle=False))


def _attributes(path: Path, names: list[str]) -> dict[str, torch.Tensor] | None:
    if not names:
        return None
    with open(path / "attributes.npz", "rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[f"arr_{i}"]) for i, name in enumerate(names)}


def finished(opened: Opened) -> Steps[Dataset]:
    """The data set that a reader gave, after running its generator if it gave one."""
    return opened if isinstance(opened, Dataset) else (yield from opened)


def cached(key: str, building: Steps[Dataset]) -> Steps[Dataset]:
    """The data set that a generator makes, from the cache if `key` was built before.

    One process builds at a time, another waits for it. What is built may have left its items in `cache.partial(key)`.
    """
    directory = cache.place(key)
    if not is_store(directory):
        try:
            lock = yield from cache.locking(directory.name)
        except OSError:  # the cache cannot be written: building says so if it has to
            return (yield from building)
        try:
            if not is_store(directory):
                cache.tidy(directory.name)
                dataset = yield from building
                try:
                    dataset.save(directory, moving=_left_in(cache.partial(key), dataset))
                except (WorkError, RequestError):  # no room for it
                    return dataset
                shutil.rmtree(cache.partial(key), ignore_errors=True)
        finally:
            lock.release()
    return read_store(directory, Options())


def _left_in(folder: Path, dataset: Dataset) -> Path | None:
    """The file in a folder that holds the items of a data set, to be moved rather than copied."""
    path = folder / ROWS
    with suppress(OSError, ValueError):
        rows, items = np.load(path, mmap_mode="r", allow_pickle=False), dataset.items
        some = slice(None, None, -(-len(items) // COMPARED))  # all would be read again
        if rows.shape == tuple(items.shape) and np.array_equal(rows[some], items[some].numpy()):
            return path
    return None
