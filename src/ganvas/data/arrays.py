"""Data sets that are arrays: .npz files, and bringing any array of images to a size."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..progress import Steps
from ..sizes import Size
from .dataset import Dataset, Origin
from .options import DataError, Options, blaming
from .rows import chunks, gathering
from .store import cached

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
MAX_CLASSES = 2**20  # larger labels are not class numbers


def fit(dataset: Dataset, options: Options) -> Steps[Dataset]:
    """The images cut to centred squares, resized and recoloured as the options say; cached if that changes them."""
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
    return replace(dataset, items=fitted.items, fingerprint=fitted.fingerprint)  # names may have changed since


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
    if labels.ndim == 1 and labels.dtype.kind in "iu":
        if labels.min(initial=0) < 0:
            raise DataError(f"the smallest label of {place} is {labels.min()}", "number classes from 0")
        if labels.max(initial=0) >= MAX_CLASSES:
            raise DataError(f"the largest label of {place} is {labels.max()}", "number classes from 0 without gaps")
        classes = int(labels.max()) + 1 if labels.size else 0
        return torch.from_numpy(labels.astype(np.int64)), tuple(map(str, range(classes)))
    names, numbers = np.unique(_strings(labels, f"labels of {place}"), return_inverse=True)
    return torch.from_numpy(numbers.astype(np.int64)), tuple(names.tolist())


def _strings(values: np.ndarray, name: str) -> np.ndarray:
    """Values (N,) of any kind as strings (N,)."""
    if values.ndim != 1:
        raise DataError(f"the {name} have shape {values.shape}", "give one for each item")
    with blaming(f"the {name} are not UTF-8", "save them as strings", UnicodeDecodeError):
        return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values.astype(str)


def read_npz(path: Path, options: Options) -> Dataset:
    """An archive of `images`, uint8 (N, H, W[, C]), or `points` (N, D), optionally `labels` and `captions`, (N,), and
    `class_names` of the labels. Labels (N, K) of keywords are attributes.
    """
    options.require_train(path)
    damaged = f"{path} cannot be read as an .npz of plain arrays"
    # numpy, zipfile and zlib raise many kinds for damaged bytes
    with blaming(damaged, "save it with numpy.savez", Exception), np.load(path, allow_pickle=False) as archive:
        kind = "points" if "points" in archive.files and "images" not in archive.files else "images"
        arrays = {key: np.asarray(archive[key]) for key in (kind, "labels", "captions") if key in archive.files}
        names = np.asarray(archive["class_names"]) if "class_names" in archive.files else None
    items = _points(arrays[kind], path) if kind == "points" else _images(arrays.get("images"), path)
    for key, values in arrays.items():
        if (count := len(np.atleast_1d(values))) != len(items):
            raise DataError(f"{path} has {len(items)} {kind} but {count} {key}", "give one for each")
    captions = tuple(_strings(arrays["captions"], f"captions of {path}").tolist()) if "captions" in arrays else None
    dataset = Dataset(path.stem, items, captions=captions, origin=Origin(str(path)))
    return labelled(dataset, arrays["labels"], names, path) if "labels" in arrays else dataset


def labelled(dataset: Dataset, labels: np.ndarray, names: np.ndarray | None, place: object) -> Dataset:
    """The data set with labels (N,) of classes, or (N, K) of keywords as attributes, and their names."""
    names = None if names is None else _strings(names, f"class_names of {place}")
    found = set(np.unique(labels).tolist()) if labels.ndim == 2 and labels.dtype.kind in "biu" else set()
    if found == {0, 1} or (found and found <= {0, 1} and names is not None):
        keywords = list(map(str, range(labels.shape[1]) if names is None else names))
        if len(set(keywords)) != labels.shape[1]:
            raise DataError(f"{place} has {labels.shape[1]} labels an item but {len(keywords)} names", "name each once")
        attributes = {key: torch.from_numpy(labels[:, i].astype(np.float32)) for i, key in enumerate(keywords)}
        return replace(dataset, attributes=attributes, fingerprint="")
    numbers, classes = class_labels(labels, place)
    if names is not None and labels.dtype.kind in "iu":
        if len(names) < len(classes):
            raise DataError(f"{place} has {len(classes)} classes but {len(names)} class_names", "name each class")
        classes = tuple(names.tolist())
    return replace(dataset, labels=numbers, class_names=classes, fingerprint="")


def _points(points: np.ndarray, path: Path) -> Tensor:
    """(N, D) numbers of any kind -> (N, D) float32."""
    if points.dtype.kind not in "iuf" or points.ndim != 2 or not points.size or not np.isfinite(points).all():
        fix = "make it finite numbers of shape (N, D), N at least 1"
        raise DataError(f"'points' of {path} is {points.dtype} {points.shape}", fix)
    return torch.from_numpy(points.astype(np.float32))


def _images(images: np.ndarray | None, path: Path) -> Tensor:
    """(N, H, W[, C]) uint8 -> (N, C, H, W) uint8."""
    if images is None:
        raise DataError(f"{path} has no array named 'images'", "save one, uint8 of shape (N, H, W) or (N, H, W, C)")
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or not images.size:
        fix = "make it uint8 of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), with N at least 1"
        raise DataError(f"'images' of {path} is {images.dtype} {images.shape}", fix)
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
