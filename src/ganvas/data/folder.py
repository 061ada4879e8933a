"""Pictures in a folder or a .zip, with the annotations next to them, decoded once into one array."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import torch
from torch import Tensor

from ..progress import Steps
from ..sizes import Size
from .annotations import Annotation, read_annotations, read_emoji_annotations
from .dataset import Dataset
from .decode import SUFFIXES
from .decoding import decoding
from .options import DataError, Options
from .store import cached
from .tree import Folder, Tree, Zip

VERSION = 7  # of the decoding, raised when pixels or annotations change, since they are cached
EMOJI = "img/google/64/"
NO_CLASS = ("(top)", "unlabelled")  # the classes of pictures in no sub-folder, and of pictures without a label


class Pictures(NamedTuple):
    """The pictures of one split."""

    tree: Tree
    files: list[str]  # of the split
    inside: dict[str, str]  # the files of every split, each with its path inside its split
    name: str
    annotate: Callable[[Tree], dict[str, Annotation]]


def is_emoji(path: Path) -> bool:
    """Whether `path` has the layout of emoji-datasource-google."""
    return (path / "emoji.json").is_file() and (path / EMOJI).is_dir()


def read_emoji(path: Path, options: Options) -> Steps[Dataset]:
    """The 64x64 pictures of npm's emoji-datasource-google, with their names and categories."""
    options.require_train("emoji")
    tree = Folder(path)
    files = [file for file in _pictures(tree) if file.startswith(EMOJI)]
    annotate = partial(read_emoji_annotations, pictures=EMOJI)
    pictures = Pictures(tree, files, {file: file for file in files}, "emoji", annotate)
    return _read(pictures, options._replace(size=options.size or Size(64, 64)))


def read_folder(path: Path, options: Options) -> Steps[Dataset]:
    """Every picture below `path`, a folder or a .zip. Sub-folders are classes, unless annotations contain labels.

    The classes of `train` and `test` are numbered together, so that a number means the same in both.
    """
    tree = Zip(path) if path.is_file() else Folder(path)
    files = _pictures(tree)
    if not files:
        raise DataError(f"{path} contains no images", f"put some there ({', '.join(SUFFIXES)})")
    tops, inside = _top_folders(files), {file: file for file in files}
    if {"train", "test"} <= set(tops.values()):
        skip = _common_depth(files) + 1
        inside = {file: "/".join(PurePosixPath(file).parts[skip:]) for file in files if tops[file] in ("train", "test")}
        files = [file for file in files if tops[file] == options.split]
    else:
        options.require_train(path)
    return _read(Pictures(tree, files, inside, path.stem, read_annotations), options)


def _pictures(tree: Tree) -> list[str]:
    return [file for file in tree.files if file.lower().endswith(SUFFIXES)]


def _read(pictures: Pictures, options: Options) -> Steps[Dataset]:
    form = f"{options.size or 'auto'}-{options.channels or 'auto'}-{options.levels}-{options.truncated}"
    key = f"{pictures.name}-{VERSION}-{pictures.tree.stamp()}-{options.split}-{form}"
    dataset = yield from cached(key, _decoded(pictures, options, key))
    return replace(dataset, origin=replace(dataset.origin, place=pictures.tree.place))  # the cache may be of a copy


def _decoded(pictures: Pictures, options: Options, key: str) -> Steps[Dataset]:
    tree, files, inside, name, annotate = pictures
    annotations = annotate(tree)
    decoded = yield from decoding(tree, files, options, key)
    labels, class_names = _classes(decoded.files, inside, annotations)
    own = [annotations.get(file, Annotation()) for file in decoded.files]
    captions = tuple(it.caption or "" for it in own) if any(it.caption for it in own) else None
    return Dataset(name, decoded.items, labels, class_names, captions, _attributes(own), origin=decoded.origin)


def _classes(
    files: list[str], inside: dict[str, str], annotations: dict[str, Annotation]
) -> tuple[Tensor | None, tuple[str, ...]]:
    """Labels and class names: those of the annotations or, if these have no labels, the sub-folders.

    Classes are numbered over every split. Those of NO_CLASS come last, and only if `files` has them, so that a test
    split without classes adds none to train.
    """
    labels = {file: annotations[file].label if file in annotations else None for file in inside}
    if any(labels.values()):
        names = {file: label or "unlabelled" for file, label in labels.items()}
    else:
        tops = _top_folders(list(inside.values()))
        names = {file: tops[path] for file, path in inside.items()}
    own = [names[file] for file in files]
    known = {*names.values()}.difference(NO_CLASS)
    if not known.intersection(own) or (len(known.union(own)) == 1 and not any(labels.values())):
        return None, ()
    classes = sorted(known.union(own), key=lambda name: (name in NO_CLASS, name))
    numbers = {name: i for i, name in enumerate(classes)}
    return torch.tensor([numbers[name] for name in own]), tuple(classes)


def _top_folders(files: list[str]) -> dict[str, str]:
    """The first folder of each file below those that all have in common: archives often have one folder at the top."""
    depth = _common_depth(files)
    return {file: (*_folders(file), "(top)")[depth] for file in files}


def _common_depth(files: list[str]) -> int:
    """How many folders, from the top, all files have in common."""
    return sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, zip(*map(_folders, files), strict=False)))


def _folders(file: str) -> tuple[str, ...]:
    return tuple(file.split("/")[:-1])  # there may be very many, and paths are slow


def _attributes(annotations: list[Annotation]) -> dict[str, Tensor] | None:
    """A column (N,) float32 for every attribute of any picture, nan for a picture without it."""
    names = sorted({name for it in annotations for name in it.attributes})
    return {name: torch.tensor([it.attributes.get(name, math.nan) for it in annotations]) for name in names} or None
