"""An opened data set: one array of items, their labels and captions, and an endless stream of batches."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import RequestError, writing
from ..files import new_folder
from ..progress import drain
from ..types import Batch
from .rows import chunks, gathering

FORMAT = 1  # of the store that save() writes
HELD_OUT = "test"  # the store, within that of a data set, of what it holds out
LARGE = 256 * 2**20  # bytes; larger arrays are memory-mapped, not read


class Modes(NamedTuple):
    """The modes of a mixture of Gaussians, to count how many of them a generator reaches."""

    centres: Tensor  # (K, D) float32
    sigma: float  # standard deviation along each axis


@dataclass(frozen=True)
class Origin:
    """Where the items came from, which files were skipped, and what else a reader must say."""

    place: str = ""
    unreadable: tuple[tuple[str, str], ...] = ()  # (file, reason), skipped
    smallest: tuple[int, int] | None = None  # (width, height) in pixels, before resizing
    largest: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()  # what was cut, chosen, guessed or left out, a sentence each, with how to change it
    levels: str = ""  # "LOW:HIGH" or "full", as pictures of more than 8 bits were read
    splits: tuple[tuple[str, int], ...] = ()  # each split of the source, and how many items it has


@dataclass(frozen=True, eq=False)
class Dataset:
    """Items with their labels, captions and attributes. Satisfies `types.Images`.

    Images are uint8 (N, C, H, W); points are float32 (N, D) in the units of their data. `seed` only sets the order of
    the batches: `dataclasses.replace(dataset, seed=1)` is the same items in another order.
    """

    name: str
    items: Tensor
    labels: Tensor | None = None  # (N,) int64
    class_names: tuple[str, ...] = ()
    captions: tuple[str, ...] | None = None  # one for each item, "" if it has none
    attributes: dict[str, Tensor] | None = None  # each (N, ...), on the CPU
    modes: Modes | None = None
    origin: Origin = field(default_factory=Origin)
    fingerprint: str = ""  # sha256 of the content, 16 hexadecimal digits; computed if not given
    spec: str = ""
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))  # of the batches
    split: str = "train"  # the part of the source: "train", "test" or, for a share of the items, "held out"
    held_out: Dataset | None = None  # other items of the same source, to measure on

    def __post_init__(self) -> None:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", fingerprint(self))

    def __len__(self) -> int:
        return self.items.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image, (D,) of a point."""
        return tuple(self.items.shape[1:])

    @property
    def classes(self) -> int:
        """The number of classes; 0 without labels."""
        return len(self.class_names)

    def batch(self, step: int, size: int) -> Batch:
        """The `size` items of a step: a function of (seed, step) alone.

        Steps divide an endless stream; `step * size` is the position in it. Each epoch of the stream is a permutation
        of all items, so a batch may end one epoch and begin the next, or span several.
        """
        epoch, start = divmod(step * size, len(self))
        parts: list[np.ndarray] = []
        while size > 0:
            parts.append(_permutation(self.seed, epoch, len(self))[start : start + size])
            size -= len(parts[-1])
            epoch, start = epoch + 1, 0
        return self.at(torch.from_numpy(np.concatenate(parts)))

    def at(self, index: Tensor) -> Batch:
        """The items of these rows (int64), images scaled as x / 127.5 - 1, on `device`. The index stays on the CPU."""
        index = index.cpu()
        x = self.items.index_select(0, index.to(self.items.device)).to(self.device)
        if x.dtype == torch.uint8:  # moved as bytes, a quarter of the traffic
            x = x.float().div_(127.5).sub_(1)
        label = None if self.labels is None else self.labels[index.to(self.labels.device)].to(self.device)
        return Batch(x, label, index)

    def rows(self, index: Tensor) -> Dataset:
        """A copy of these rows (int64) as a data set."""
        index = index.cpu()
        return replace(
            self,
            items=_copied(self.items, index),
            labels=None if self.labels is None else self.labels[index.to(self.labels.device)],
            captions=None if self.captions is None else tuple(self.captions[i] for i in index.tolist()),
            attributes=self.attributes and {name: values[index] for name, values in self.attributes.items()},
            fingerprint="",
        )

    def hold_out(self, share: float) -> Dataset:
        """The data set without a random `share`, always the same, its `held_out`. RequestError for an empty part."""
        count = round(share * len(self))
        if not 0 < count < len(self):
            problem = f"{share:g} of the {len(self)} items of {self.name} is {count}"
            raise RequestError(problem, "hold out at least one, and not all", field="hold_out")
        order = torch.from_numpy(np.random.default_rng(0).permutation(len(self)))
        held, kept = (part.sort().values for part in (order[:count], order[count:]))
        return replace(self.rows(kept), held_out=replace(self.rows(held), split="held out"))

    def to(self, device: torch.device | str) -> Dataset:
        """The data set with batches on `device`. Its items move there too if there is room for them."""
        device = torch.device(device)
        home = device if self.items.nbytes <= _free_bytes(device) else self.items.device
        labels = None if self.labels is None else self.labels.to(home)
        return replace(self, device=device, items=self.items.to(home), labels=labels)

    def save(self, directory: str | Path, *, moving: Path | None = None) -> Path:
        """Write a store that `open_data(directory)` opens; it is written whole or not at all.

        moving: an .npy of the items, which becomes that of the store. What is held out becomes its test split.
        """
        target = Path(directory)
        with writing(target):
            if target.exists() and (not target.is_dir() or any(target.iterdir())):
                raise RequestError(f"{target} already exists", "choose another directory", field="out")
            with new_folder(target) as folder:
                items = folder / f"{'points' if self.items.ndim == 2 else 'images'}.npy"
                if not moving or not _moved(moving, items):
                    np.save(items, self.items.cpu().numpy())
                if self.labels is not None:
                    np.save(folder / "labels.npy", self.labels.cpu().numpy())
                if self.attributes:
                    np.savez(folder / "attributes.npz", *(value.numpy() for value in self.attributes.values()))
                meta = {
                    "format": FORMAT,
                    "name": self.name,
                    "fingerprint": self.fingerprint,
                    "class_names": self.class_names,
                    "captions": self.captions,
                    "attributes": list(self.attributes or ()),  # the names of attributes.npz's arrays, in order
                    "modes": self.modes and {"centres": self.modes.centres.tolist(), "sigma": self.modes.sigma},
                    "origin": asdict(self.origin),
                }
                (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
                if self.held_out is not None:
                    self.held_out.save(folder / HELD_OUT)
        return target


def _moved(source: Path, target: Path) -> bool:
    try:
        source.rename(target)
    except OSError:  # Windows does not move a file that is mapped
        return False
    return True


def _copied(items: Tensor, index: Tensor) -> Tensor:
    """A copy of these rows; more than LARGE bytes of images go to a memory-mapped file of the cache."""
    if items.ndim == 2 or items.device.type != "cpu" or len(index) * items[0].nbytes <= LARGE:
        return items[index.to(items.device)]
    parts = (items[index[part]].numpy() for part in chunks(len(index), items[0].nbytes))
    return torch.from_numpy(drain(gathering(parts, items.shape[1:], "copying", len(index))))


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(n)


def _free_bytes(device: torch.device) -> float:
    """The bytes that items may use on a device: a quarter of the free memory on CUDA, 1 GiB on other accelerators."""
    if device.type == "cpu":
        return float("inf")
    return torch.cuda.mem_get_info(device)[0] / 4 if device.type == "cuda" else 2**30


def fingerprint(dataset: Dataset) -> str:
    """A hash of the content: items, labels, captions and attributes, but not names of the data set and its classes."""
    digest = hashlib.sha256(repr((dataset.shape, dataset.captions)).encode())
    arrays = {"items": dataset.items, "labels": dataset.labels, **(dataset.attributes or {})}
    for name, tensor in arrays.items():
        if tensor is not None:
            digest.update(name.encode())
            for part in chunks(len(tensor), tensor[:1].nbytes):
                digest.update(np.ascontiguousarray(tensor[part].cpu().numpy()).data)
    return digest.hexdigest()[:16]
