"""Data that is asked for item by item: lists of pictures, torch data sets, tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..progress import Progress, Steps
from .arrays import Parts, assembled, column, labelled
from .columns import CAPTION_KEYS, LABEL_KEYS
from .dataset import Dataset
from .decoding import decoding
from .options import DataError, Options, blaming
from .rows import cache_file, gathering
from .spool import Spool

IMAGES = ("image", "img", "images", "pixel_values")  # columns of tables, the first that is there


class Items(Protocol):
    """A torch data set that has an index, or another sequence of images, of (image, label), or of rows of a table."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...


@dataclass
class Reader:
    """Takes items apart, and keeps what belongs to the images."""

    options: Options
    labels: list[Any] = field(default_factory=list)
    captions: list[str | None] = field(default_factory=list)
    unused: set[str] = field(default_factory=set)  # columns, or types of labels
    label: str = ""  # the column of labels

    def image(self, item: Any) -> Any:
        """The image of an item: of a table's row, of (image, label, …), or the item itself."""
        label = caption = None
        if isinstance(item, Mapping):
            item, label, caption = self.row(item)
        elif isinstance(item, tuple | list) and item and not isinstance(item[0], int | float):
            item, *more = item
            label, caption = (*more, None, None)[:2]
        if isinstance(label, Tensor | np.ndarray):
            label = label.tolist()
        if not isinstance(label, int | float | str | list | None):
            self.unused.add(type(label).__name__)
            label = None
        self.labels.append(label)
        self.captions.append(caption if isinstance(caption, str) else None)
        return item

    def row(self, row: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """The image, label and caption of a row."""
        image = self.column(row, IMAGES, self.options.image, "image")
        self.label, caption = (
            self.column(row, LABEL_KEYS, "", ""),
            self.column(row, CAPTION_KEYS, self.options.caption, "caption"),
        )
        self.unused |= row.keys() - {image, self.label, caption}
        return row[image], row.get(self.label), row.get(caption)

    def column(self, row: Mapping[str, Any], usual: Sequence[str], asked: str, option: str) -> str:
        """The column that is asked for, or the first with a usual name."""
        found = asked or next((name for name in usual if name in row), "")
        if found not in row and option and (asked or option == "image"):
            hint = f"choose from: {', '.join(row)}"
            raise DataError(f"the data has no column {asked or 'image'!r}", hint, field=option)
        return found

    def parts(self, items: Any, given: Parts, kept: Sequence[int], class_names: tuple[str, ...]) -> Parts:
        """The items that could be read, with what belongs to them."""

        def of(values: Any) -> list[Any] | None:
            values = values.tolist() if isinstance(values, np.ndarray | Tensor) else values
            return None if values is None else [values[i] for i in kept]

        labels, captions = of(self.labels), of(self.captions)
        if None in self.labels:
            labels = None
        elif all(isinstance(label, str) for label in self.labels) and 2 * len(set(self.labels)) > len(self.labels):
            labels, captions = None, labels
        captions = None if captions is None or not any(captions) else [caption or "" for caption in captions]
        labels = column(of(given.labels) or labels, "labels")
        return Parts(items, labels, column(of(given.captions) or captions, "captions"), class_names)


def read_items(given: Parts, options: Options, said: tuple[str, ...]) -> Steps[Dataset]:
    """The data set of items, each of which is asked for once, in order; `given` may hold labels and captions of them.

    Raises DataError where they are no images, or a list of labels has another length.
    """
    source, count, reader = given.items, len(given.items), Reader(options)
    for what, values in {"labels": given.labels, "captions": given.captions}.items():
        if values is not None and len(values) != count:
            raise DataError(f"the data has {count} items but {len(values)} {what}", "give one for each")
    images = (reader.image(_asked(source, i)) for i in range(count))
    first = next(images)
    rest = chain([first], images)
    if isinstance(first, np.ndarray | Tensor):
        array = yield from _stacked(first, rest, count)
        parts = reader.parts(array, given, range(count), _class_names(source, reader.label))
        dataset = yield from assembled(parts, "the array", options, said=said)
    elif is_picture(first):
        with cache_file() as file:
            spool = Spool("the data", file)
            for image in rest:
                _add(spool, image)
                yield Progress("reading items", len(spool.files), count)
            decoded = yield from decoding(spool, spool.files, options)
        numbers = {name: i for i, name in enumerate(spool.files)}
        kept = [numbers[name] for name in decoded.files]
        parts = reader.parts(decoded.items, given, kept, _class_names(source, reader.label))
        origin = replace(decoded.origin, place="", notes=(*said, *decoded.origin.notes))
        dataset = labelled(decoded.items, parts, "the data", "items", "pictures", origin)
    else:
        hint = "give PIL images, arrays, tensors or paths, or pairs of one and a label"
        raise DataError(f"an item of the data is a {type(first).__name__}, which is not a picture", hint)
    if not reader.unused:
        return dataset
    note = f"not used of the data: {', '.join(sorted(reader.unused))}"
    return replace(dataset, origin=replace(dataset.origin, notes=(*dataset.origin.notes, note)))


def _asked(source: Items, number: int) -> Any:
    with blaming(f"item {number} of the data cannot be read", "fix or leave out such items"):
        return source[number]


def is_picture(image: Any) -> bool:
    """Whether a spool takes it: a path, a PIL image, or the bytes or path of an undecoded table."""
    if isinstance(image, Mapping):
        return isinstance(image.get("bytes") or image.get("path"), bytes | str)
    return isinstance(image, str | Path | Image.Image)


def _add(spool: Spool, image: Any) -> None:
    if not is_picture(image):
        problem = f"item {len(spool.files)} of the data is a {type(image).__name__}, and others are pictures or paths"
        raise DataError(problem, "give all in one form")
    spool.add(image)


def _stacked(first: np.ndarray | Tensor, items: Iterator[Any], count: int) -> Steps[np.ndarray | Tensor]:
    """Arrays of one shape and type as one array on the disk; tensors as one tensor."""
    like = _plain(first)

    def parts() -> Iterator[np.ndarray]:
        for number, item in enumerate(items):
            row = _plain(item) if isinstance(item, np.ndarray | Tensor) else np.empty(0)
            if (row.shape, row.dtype) != (like.shape, like.dtype):
                problem = f"item {number} is {row.dtype} {row.shape}, and the first is {like.dtype} {like.shape}"
                raise DataError(problem, "bring all to one shape and type, or give PIL images or paths")
            yield np.ascontiguousarray(row).reshape(1, -1).view(np.uint8)

    if not like.size or like.dtype.kind not in "biuf":
        raise DataError(f"the first item is {like.dtype} of shape {like.shape}", "give images")
    rows = yield from gathering(parts(), (like.nbytes,), "reading items", count)
    array = rows.view(like.dtype).reshape(count, *like.shape)
    return torch.from_numpy(array) if isinstance(first, Tensor) else array


def _plain(item: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(item, Tensor):
        item = item.detach().cpu()
        item = (item.float() if item.dtype == torch.bfloat16 else item).numpy()
    return item


def _class_names(source: Any, label: str) -> tuple[str, ...]:
    """What a torch data set, or the one that it is a part of, calls its classes; or a table its labels."""
    whole = getattr(source, "dataset", source)
    features = getattr(source, "features", None)
    column = features.get(label) if isinstance(features, Mapping) else None
    names = getattr(column, "names", None) or getattr(whole, "classes", None)
    return tuple(map(str, names)) if isinstance(names, Sequence) else ()
