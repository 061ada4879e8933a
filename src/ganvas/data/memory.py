"""Data that is in memory: arrays, tensors, lists of pictures, torch data sets, tables, opened data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from ..progress import Steps
from . import arrays
from .arrays import Parts
from .dataset import Dataset
from .one_by_one import Items, read_items
from .options import DataError, NoSplit, Options

# Arrays or tensors; pictures or paths; (images, labels[, captions]); {"images": …, "labels": …}; a data set.
Memory = np.ndarray | Tensor | Sequence[Any] | Mapping[str, Any] | Items | Dataset
Source = str | Path | Memory
PLAIN = (np.ndarray, Tensor, Sequence)  # which have no name
GIVE = "give an array, a tensor, a list of pictures, (images, labels), a torch data set or a path"


def read_memory(source: Any, options: Options) -> Steps[Dataset]:
    """The data set of what is in memory, named by its class or its fingerprint.

    Raises DataError where it is none, NoSplit where it has no test split and that is asked for.
    """
    if isinstance(source, Dataset):
        if options.split == "train":
            return replace(source.to("cpu"), held_out=None)
        if source.held_out is None:
            raise NoSplit(f"{source.name} has no test split", "use 'train'", field="split")
        return source.held_out
    parts, said = _parts(_chosen(source, options), options)
    if isinstance(parts.items, np.ndarray | Tensor):
        dataset = yield from arrays.assembled(parts, "the array", options, said=said)
    else:
        _check(parts.items)
        dataset = yield from read_items(parts, options, said)
    if isinstance(parts.items, PLAIN):
        kind = "points" if len(dataset.shape) == 1 else dataset.name
        return replace(dataset, name=f"{kind}-{dataset.fingerprint[:8]}")
    return replace(dataset, name=type(parts.items).__name__)


def _chosen(source: Any, options: Options) -> Any:
    """The split of the source that is asked for."""
    tables = isinstance(source, Mapping) and "train" in source
    if tables and options.split in source:
        return source[options.split]
    if isinstance(source, tuple) and len(source) == 2 and all(isinstance(half, tuple) for half in source):
        return source[options.split == "test"]  # ((images, labels), (images, labels)), as Keras has it
    if tables or not isinstance(source, Mapping):  # names of arrays may be of a test split
        options.require_train("the data")
    return source


def _parts(source: Any, options: Options) -> tuple[Parts, tuple[str, ...]]:
    """Images, labels and captions by their names or in a tuple, (images, labels), (images, captions) or all three; and
    what was guessed.
    """
    if isinstance(source, Mapping):
        names = arrays.recognised(source.keys(), "the data", options)
        columns = {name: arrays.column(source[name], name) for name in (names.labels, names.captions) if name}
        return arrays.parts_of(dict(source) | columns, names, "the data"), names.said
    single = not isinstance(source, tuple) or len(source) not in (2, 3)
    if single or isinstance(source[0], str | Path | Image.Image):
        return Parts(source), ()
    images, words, *more = source
    labels = arrays.column(words, "labels")
    if more or labels is None or not is_text(labels.tolist()):
        return Parts(images, labels, arrays.column(more[0], "captions") if more else None), ()
    said = "the words of the data are read as captions, since most differ; (images, labels, None) makes them classes"
    return Parts(images, None, labels), (said,)


def is_text(words: Sequence[Any]) -> bool:
    """Whether these are captions rather than classes: strings, most of which differ."""
    texts = [word for word in words if isinstance(word, str)]
    return 2 * len(set(texts)) > len(texts)


def _check(source: Any) -> None:
    """Raise DataError for what has no length, no index or no items."""
    name = f"a {type(source).__name__}"
    if isinstance(source, DataLoader | IterableDataset):
        raise DataError(f"{name} gives its items in no order", "give a data set that has an index")
    sized = callable(getattr(source, "__len__", None)) and callable(getattr(source, "__getitem__", None))
    if not sized or isinstance(source, bytes | str | Mapping):
        raise DataError(f"{name} is not data", GIVE)
    if not len(source):
        raise DataError(f"{name} has no items", GIVE)
