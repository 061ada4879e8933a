"""Data sets that are arrays: .npz and .npy files, arrays in memory, and bringing any array of images to a size."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..progress import Steps
from ..sizes import Size
from . import members, pixels
from .dataset import LARGE, Dataset, Origin
from .notes import LEAST, cut_off, cut_share
from .options import DataError, Options, blaming
from .rows import chunks, gathering
from .store import cached

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
MAX_CLASSES = 2**20  # larger labels are not class numbers
# The names of arrays, the first that is there; after those of ganvas Keras's, MedMNIST's, scikit-learn's and numpy's.
ITEMS = ("images", "points", "x_train", "train_images", "x", "data", "arr_0")
LABELS = ("labels", "label", "y_train", "train_labels", "y", "targets", "target", "arr_1")
CAPTIONS = ("captions", "caption", "texts", "text")
TEST = {"x_train": ("x_test", "y_test"), "train_images": ("test_images", "test_labels")}  # items and labels
CLASSES, SEEDS = "class_names", "seeds"  # what labels mean; and of generated images, which says nothing of them


class Parts(NamedTuple):
    """The arrays of one split."""

    items: Any  # an array or a tensor, of images or points
    labels: np.ndarray | None = None  # (N,), or (N, K) of 0 and 1
    captions: np.ndarray | None = None  # (N,)
    class_names: tuple[str, ...] = ()  # where they are known


def fit(dataset: Dataset, options: Options) -> Steps[Dataset]:
    """The images cut to their middle, resized and recoloured as the options say; cached if that changes them."""
    if len(dataset.shape) != 3:
        if options.size or options.channels:
            field = "size" if options.size else "channels"
            raise DataError(f"{dataset.name} contains points, which have no {field}", f"give images, or no {field}")
        return dataset
    channels, height, width = dataset.shape
    size, depth = options.size or Size(width, height), options.channels or channels
    shape = (depth, size.height, size.width)
    if shape == dataset.shape:
        return dataset

    def build() -> Steps[Dataset]:
        slices = chunks(len(dataset), max(channels * height * width, math.prod(shape)))
        parts = (_fitted(dataset.items[part], size, depth).numpy() for part in slices)
        rows = yield from gathering(parts, shape, "resizing pictures", len(dataset))
        return replace(dataset, items=torch.from_numpy(rows), fingerprint="")

    fitted = yield from cached(f"{dataset.name}-{dataset.fingerprint}-{depth}x{size}", build())
    notes = dataset.origin.notes
    if cut_share(width, height, size) >= LEAST:
        notes += cut_off([(width, height)], size)
    if channels == 4 and depth < 4:
        notes += ("transparency is laid on white: channels=4 keeps it",)
    origin = replace(dataset.origin, notes=notes)  # names may also have changed since
    return replace(dataset, items=fitted.items, fingerprint=fitted.fingerprint, origin=origin)


def _fitted(images: Tensor, size: Size, channels: int) -> Tensor:
    """(N, C, H, W) uint8 -> (N, channels, height, width) uint8, cut to the middle where the shape is another."""
    height, width = images.shape[2:]
    tall, wide = (
        min(height, round(width * size.height / size.width)),
        min(width, round(height * size.width / size.height)),
    )
    tall, wide = max(1, tall), max(1, wide)
    top, left = (height - tall) // 2, (width - wide) // 2
    images = _recoloured(images[:, :, top : top + tall, left : left + wide], channels)
    if (tall, wide) != (size.height, size.width):
        images = interpolate(images, size=(size.height, size.width), mode="bilinear", antialias=True)
    return images


def _recoloured(images: Tensor, channels: int) -> Tensor:
    """(N, C, H, W) uint8 -> (N, channels, H, W) uint8: transparency is laid on white, or alpha made 255."""
    if images.shape[1] == 4 and channels < 4:  # premultiplied, so the rest of a pixel is white
        images = images[:, :3] + (255 - images[:, 3:])
    if images.shape[1] == 3 and channels == 1:
        weights = torch.tensor(LUMA)[:, None, None]
        images = (images * weights).sum(1, keepdim=True).round().to(torch.uint8)
    if images.shape[1] == 1 and channels > 1:
        images = images.expand(-1, 3, -1, -1)
    if images.shape[1] < channels:
        images = torch.cat([images, torch.full_like(images[:, :1], 255)], 1)
    return images


def class_labels(labels: np.ndarray, place: object) -> tuple[Tensor, tuple[str, ...]]:
    """Class numbers, and the names of the classes: words if the labels are words, else the numbers."""
    labels = _one_each(labels)
    if labels.ndim == 1 and labels.dtype.kind in "iu":
        if labels.min(initial=0) < 0:
            raise DataError(f"the smallest label of {place} is {labels.min()}", "number classes from 0")
        if labels.max(initial=0) >= MAX_CLASSES:
            raise DataError(f"the largest label of {place} is {labels.max()}", "number classes from 0 without gaps")
        classes = int(labels.max()) + 1 if labels.size else 0
        return torch.from_numpy(labels.astype(np.int64)), tuple(map(str, range(classes)))
    names, numbers = np.unique(_strings(labels, f"labels of {place}"), return_inverse=True)
    return torch.from_numpy(numbers.astype(np.int64)), tuple(names.tolist())


def _one_each(labels: np.ndarray) -> np.ndarray:
    """Labels (N, 1), (N, classes) with a single 1 in each row, or whole numbers as floats, as (N,) integers."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biuf" and ((labels != 0).sum(1) == 1).all() and labels.max() == 1:
        labels = labels.argmax(1)
    whole = labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == labels.round()).all()
    return labels.astype(np.int64) if whole else labels


def _strings(values: np.ndarray, name: str) -> np.ndarray:
    """Values (N,) of any kind as strings (N,)."""
    if values.ndim != 1:
        raise DataError(f"the {name} have shape {values.shape}", "give one for each item")
    with blaming(f"the {name} are not UTF-8", "save them as strings", UnicodeDecodeError):
        return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values.astype(str)


def assembled(
    parts: Parts, what: str, options: Options, kind: str = "items", said: tuple[str, ...] = ()
) -> Steps[Dataset]:
    """The data set of some arrays. `what` names the items in messages; `said` is what has been guessed before.

    Raises DataError where they do not fit together.
    """
    array, place = parts.items, what.partition(" of ")[2] or what
    if kind == "points" or (kind != "images" and array.ndim == 2):
        items, notes = points(array, what), ()
        if kind != "points" and array.shape[1] != 2:
            notes = (f"{what} of shape {tuple(array.shape)} is read as points; give pictures as (N, H, W)",)
    else:
        items, notes = yield from pixels.reading(array, what, options.levels)
    return labelled(items, parts, place, kind, "array", Origin(notes=(*said, *notes)))


def labelled(items: Tensor, parts: Parts, place: str, kind: str, name: str, origin: Origin) -> Dataset:
    """The data set of items and what `parts` says of them. Raises DataError where they do not fit together."""
    for key, values in {"labels": parts.labels, "captions": parts.captions}.items():
        if values is not None and (count := len(np.atleast_1d(values))) != len(items):
            raise DataError(f"{place} has {len(items)} {kind} but {count} {key}", "give one for each")
    captions = None
    if parts.captions is not None:
        captions = tuple(_strings(parts.captions, f"captions of {place}").tolist())
    labels, names, attributes = None, (), None
    if parts.labels is not None:
        given = parts.labels
        if is_several(given, parts.class_names):
            attributes = _keywords(given, parts.class_names, place)
            note = f"the labels of {place} are several for an item, and are read as attributes"
            origin = replace(origin, notes=(*origin.notes, note))
        else:
            labels, names = class_labels(given, place)
            if parts.class_names and given.dtype.kind not in "USO":  # words name themselves
                if len(parts.class_names) < len(names):
                    problem = f"{place} has {len(names)} classes but {len(parts.class_names)} class_names"
                    raise DataError(problem, "name each class")
                names = parts.class_names
    return Dataset(name, items, labels, names, captions, attributes, origin=origin)


def _keywords(marks: np.ndarray, names: tuple[str, ...], place: str) -> dict[str, Tensor]:
    """Attributes of (N, K) of 0 and 1."""
    names = names or tuple(map(str, range(marks.shape[1])))
    if len(set(names)) != marks.shape[1]:
        raise DataError(f"{place} has {marks.shape[1]} labels an item but {len(names)} names", "name each once")
    return {name: torch.from_numpy(marks[:, i].astype(np.float32)) for i, name in enumerate(names)}


def column(values: Any, what: str) -> np.ndarray | None:
    """A list, an array or a tensor as an array."""
    if values is None:
        return None
    values = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    with blaming(f"the {what} of the data are not a list", "give one for each item", (ValueError, TypeError)):
        column = np.asarray(values)
    if column.ndim == 0:
        raise DataError(f"the {what} of the data are a {type(values).__name__}", "give one for each item")
    return column


def is_several(labels: np.ndarray, names: tuple[str, ...]) -> bool:
    """Whether these are (N, K) of 0 and 1, and not one for each item; with names they may be all alike."""
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "biuf":
        return False
    found = set(np.unique(labels).tolist())
    return found <= {0, 1} if names else found == {0, 1} and _one_each(labels).ndim == 2


def points(array: Any, what: str) -> Tensor:
    """(N, D) numbers of any kind -> (N, D) float32."""
    values = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)
    if values.dtype.kind not in "iuf" or values.ndim != 2 or not values.size or not np.isfinite(values).all():
        fix = "make it finite numbers of shape (N, D), N at least 1"
        raise DataError(f"{what} is {values.dtype} {values.shape}", fix)
    return torch.from_numpy(values.astype(np.float32))


class Names(NamedTuple):
    """The names of the arrays of a split, "" where there are none, and what was guessed."""

    items: str
    labels: str
    captions: str
    said: tuple[str, ...]


def recognised(names: Collection[str], place: object, options: Options) -> Names:
    """Which of some named arrays are what. DataError where none are items, NoSplit without a test split."""
    known = {name.lower(): name for name in names}
    items, labels, captions = (next((key for key in keys if key in known), "") for keys in (ITEMS, LABELS, CAPTIONS))
    if not items:
        there = ", ".join(sorted(names)[:9]) or "nothing"
        fix = f"it holds {there}; save one, uint8 of shape (N, H, W) or (N, H, W, C)"
        raise DataError(f"{place} has no array named 'images'", fix)
    if labels == "arr_1" and items != "arr_0":
        labels = ""
    found = {"items": items, "labels": labels, "captions": captions}
    test, test_labels = TEST.get(items, ("", ""))
    if options.split == "test":
        if test not in known:
            options.require_train(place)
        found = {"items": test, "labels": test_labels if test_labels in known else "", "captions": ""}
    used = {*found.values(), *(test, test_labels)}
    unused = sorted(name for key, name in known.items() if key not in used and key not in (CLASSES, SEEDS))
    guesses = [f"{what} from {known[key]!r}" for what, key in found.items() if key and what != key and key != "images"]
    guesses = [] if items in ("images", "points") and labels in ("labels", "") else guesses
    said = [f"{place}: {', '.join(guesses)}"] if guesses else []
    said += (
        [f"{place}: {', '.join(unused[:9])} not used; captions and labels are read by these names"] if unused else []
    )
    items, labels, captions = (known.get(key, "") for key in found.values())
    return Names(items, labels, captions, tuple(said))


def parts_of(arrays: Mapping[str, Any], names: Names, place: object) -> Parts:
    """The arrays of these names."""
    classes = column(arrays.get(CLASSES, np.empty(0, str)), CLASSES)
    assert classes is not None
    words = tuple(_strings(classes, f"{CLASSES} of {place}").tolist())
    return Parts(arrays[names.items], arrays.get(names.labels), arrays.get(names.captions), words)


def named(arrays: Mapping[str, Any], place: object, options: Options) -> Steps[Dataset]:
    """The data set of named arrays."""
    names = recognised(arrays.keys(), place, options)
    parts = parts_of(arrays, names, place)
    kind = names.items if names.items in ("images", "points") else "items"
    return (yield from assembled(parts, f"{names.items!r} of {place}", options, kind, names.said))


def read_npz(path: Path, options: Options) -> Steps[Dataset]:
    """An archive of `images`, (N, H, W[, C]), or `points`, (N, D), optionally `labels` and `captions`, (N,), or of
    arrays under other usual names; `class_names` name the labels, of which there may be several for an item.
    """
    damaged = f"{path} cannot be read as an .npz of plain arrays"
    arrays: dict[str, np.ndarray] = {}
    # numpy, zipfile and zlib raise many kinds for damaged bytes
    with (
        blaming(damaged, "save it with numpy.savez", Exception),
        path.open("rb") as file,  # numpy would not close a damaged one
        np.load(file, allow_pickle=False) as archive,
    ):
        for name in (*recognised(archive.files, path, options)[:3], CLASSES):
            if name in archive.files:
                arrays[name] = yield from members.read(path, archive, name)
        others = dict.fromkeys(set(archive.files) - arrays.keys())
    dataset = yield from named(others | arrays, path, options)
    return replace(dataset, name=path.stem, origin=replace(dataset.origin, place=str(path)))


def read_npy(path: Path, options: Options) -> Steps[Dataset]:
    """A file of one array, of images or points."""
    options.require_train(path)
    with blaming(f"{path} cannot be read as a plain array", "save it with numpy.save", Exception):
        array = np.load(path, mmap_mode="c" if path.stat().st_size > LARGE else None, allow_pickle=False)
    dataset = yield from assembled(Parts(array), str(path), options)
    return replace(dataset, name=path.stem, origin=replace(dataset.origin, place=str(path)))
