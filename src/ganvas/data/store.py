"""Data sets on the disk: what `Dataset.save` writes, and the cache of decoded and drawn data sets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import files
from ..errors import RequestError, WorkError
from ..progress import Steps
from ..records import Store
from .dataset import FORMAT, HELD_OUT, LARGE, Dataset, Modes, Origin
from .options import DataError, Options, blaming

Opened = Dataset | Steps[Dataset]  # what a reader gives: a data set, or a generator that returns one
MAX_NAME = 60  # characters of a name in the cache, 240 bytes at most; the end of a name makes it unique


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
    """The data set that a generator makes, from the cache if `key` was built before."""
    directory = files.cache_directory() / "datasets" / re.sub(r"[^\w.-]+", "-", key)[-MAX_NAME:]  # it has no / in it
    if not is_store(directory):
        dataset = yield from building
        try:
            dataset.save(directory)
        except (WorkError, RequestError):  # no room for it, or another process has just built it
            return dataset
    return read_store(directory, Options())
