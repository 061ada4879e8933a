"""Pictures in a folder or a .zip, with the words beside them, decoded once into one array."""

from __future__ import annotations

import math
import os
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import RequestError
from ..progress import Progress, Steps, counted
from .dataset import Dataset, Origin
from .decode import SUFFIXES, Unreadable, decode, dimensions
from .options import Wanted
from .rows import Rows
from .store import cached
from .tree import Folder, Tree, Zip
from .words import Words, emoji_words, read_words

VERSION = 5  # of the decoding, raised whenever pixels or words change, for the cache's sake
CHUNK = 32  # files decoded at a time
SURVEYED = 1000  # files whose headers choose the size
SIZES = (256, 128, 64, 32, 16, 8)  # that may be chosen
EMOJI = "img/google/64/"
UNTOLD = ("(top)", "unlabelled")  # the classes of pictures in no sub-folder, and of those without a label

T = TypeVar("T")
Read = Callable[[Tree], dict[str, Words]]


def is_emoji(path: Path) -> bool:
    """Whether `path` is laid out as emoji-datasource-google is."""
    return (path / "emoji.json").is_file() and (path / EMOJI).is_dir()


def read_emoji(path: Path, wanted: Wanted) -> Steps[Dataset]:
    """The 64x64 pictures of npm's emoji-datasource-google, with their names and categories."""
    wanted.only_train("emoji")
    tree = Folder(path)
    files = {file: file for file in _pictures(tree) if file.startswith(EMOJI)}
    wanted = wanted._replace(size=wanted.size or 64)
    return _read(tree, list(files), files, wanted, "emoji", lambda tree: emoji_words(tree, EMOJI))


def read_folder(path: Path, wanted: Wanted) -> Steps[Dataset]:
    """Every picture below `path`, a folder or a .zip. Sub-folders are classes, unless words give labels.

    The classes of `train` and `test` are numbered together, so that a number means the same in both.
    """
    tree = Zip(path) if path.is_file() else Folder(path)
    files = _pictures(tree)
    if not files:
        raise RequestError(f"{path} holds no images; put some there ({', '.join(SUFFIXES)})")
    tops = dict(zip(files, _top_folders(files), strict=True))
    below = {file: file for file in files}
    if {"train", "test"} <= set(tops.values()):
        skip = _shared(files) + 1
        below = {file: "/".join(PurePosixPath(file).parts[skip:]) for file in files if tops[file] in ("train", "test")}
        files = [file for file in files if tops[file] == wanted.split]
    else:
        wanted.only_train(str(path))
    return _read(tree, files, below, wanted, path.stem, read_words)


def _pictures(tree: Tree) -> list[str]:
    return [file for file in tree.files if PurePosixPath(file).suffix.lower() in SUFFIXES]


def _read(
    tree: Tree, files: list[str], below: dict[str, str], wanted: Wanted, name: str, words: Read
) -> Steps[Dataset]:
    """The pictures `files`; `below` holds those of every split, each with its path within its split."""
    key = f"{name}-{VERSION}-{tree.stamp()}-{wanted.split}-{wanted.size or 'auto'}-{wanted.channels or 'auto'}"
    dataset = yield from cached(key, lambda: _decoded(tree, files, below, wanted, name, words(tree)))
    return replace(dataset, origin=replace(dataset.origin, place=tree.place))  # of a copy, not of what was decoded


def _decoded(
    tree: Tree, files: list[str], below: dict[str, str], wanted: Wanted, name: str, words: dict[str, Words]
) -> Steps[Dataset]:
    """The pictures of these files, with what is said of them."""
    pixels, pictures, unreadable = yield from _pixels(tree, files, wanted)
    kept = list(pictures)
    labels, class_names = _classes(kept, below, words)
    said = [words.get(file, Words()) for file in kept]
    sides = sorted(pictures.values(), key=lambda side: side[0] * side[1])
    return Dataset(
        name=name,
        items=torch.from_numpy(pixels),
        labels=labels,
        class_names=class_names,
        captions=tuple(it.caption or "" for it in said) if any(it.caption for it in said) else None,
        attributes=_attributes(said),
        origin=Origin(tree.place, unreadable, smallest=sides[0], largest=sides[-1]),
    )


def _pixels(
    tree: Tree, files: list[str], wanted: Wanted
) -> Steps[tuple[np.ndarray, dict[str, tuple[int, int]], tuple[tuple[str, str], ...]]]:
    """Decode every file: (N, C, H, W), the N files with their width and height, and the rest with the reasons."""
    size, channels = wanted.size or (yield from _survey(tree, files)), wanted.channels or 3
    pictures: dict[str, tuple[int, int]] = {}
    unreadable: list[tuple[str, str]] = []
    grey = True
    results = _each(files, lambda file: decode(tree.read(file), file, size, channels))
    with Rows((channels, size, size)) as rows:
        for done, (file, result) in enumerate(zip(files, results, strict=True), 1):
            if isinstance(result, str):
                unreadable.append((file, result))
            else:
                rows.append(result.pixels[None])
                pictures[file] = (result.width, result.height)
                grey = grey and result.grey
            yield Progress("reading files", done, len(files))
        if not pictures:
            file, reason = unreadable[0]
            raise RequestError(
                f"none of the {len(files)} images of {tree.place} can be decoded ({file}: {reason}); "
                "replace them or name another folder"
            )
        pixels = rows.array()
    return pixels[:, :1] if grey and wanted.channels is None else pixels, pictures, tuple(unreadable)


def _each(files: Sequence[str], work: Callable[[str], T]) -> Iterator[T | str]:
    """The result of `work` on each file in turn, or the reason why it failed; a few threads run ahead."""

    def attempt(file: str) -> T | str:
        try:
            return work(file)
        except (Unreadable, OSError) as error:
            return str(error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(files), CHUNK):
            with warnings.catch_warnings():  # around no yield: what runs between two belongs to the caller
                warnings.simplefilter("ignore")  # Pillow's, of files that it decodes all the same
                results = list(pool.map(attempt, files[start : start + CHUNK]))
            yield from results


def _survey(tree: Tree, files: list[str]) -> Steps[int]:
    """The largest of SIZES that the median short side reaches, or the smallest."""
    some = files[:: -(-len(files) // SURVEYED)]
    sizes = _each(some, lambda file: dimensions(tree.read(file), file))
    found = yield from counted(sizes, "reading sizes", len(some))
    sides = [min(size) for size in found if not isinstance(size, str)]
    median = statistics.median(sides) if sides else 0
    return next((size for size in SIZES if size <= median), SIZES[-1])


def _classes(files: list[str], below: dict[str, str], words: dict[str, Words]) -> tuple[Tensor | None, tuple[str, ...]]:
    """Labels and class names: as the words say or, where they say none, the sub-folders.

    Classes are numbered over every split. What is untold comes last, and only where it is met among `files`, so that
    a test split without classes adds none to train.
    """
    told = {file: words[file].label if file in words else None for file in below}
    if any(told.values()):
        names = {file: label or "unlabelled" for file, label in told.items()}
    else:
        names = dict(zip(below, _top_folders(list(below.values())), strict=True))
    own = [names[file] for file in files]
    known = {*names.values()}.difference(UNTOLD)
    if not known.intersection(own) or (len(known.union(own)) == 1 and not any(told.values())):
        return None, ()
    classes = sorted(known.union(own), key=lambda name: (name in UNTOLD, name))
    numbers = {name: i for i, name in enumerate(classes)}
    return torch.tensor([numbers[name] for name in own]), tuple(classes)


def _top_folders(files: list[str]) -> list[str]:
    """The first folder of each file below those that all share: an archive often holds all in one folder."""
    depth = _shared(files)
    return [folder[depth] if len(folder) > depth else "(top)" for folder in map(_folders, files)]


def _shared(files: list[str]) -> int:
    """How many folders, from the top, all files share."""
    return sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, zip(*map(_folders, files), strict=False)))


def _folders(file: str) -> tuple[str, ...]:
    return PurePosixPath(file).parts[:-1]


def _attributes(said: list[Words]) -> dict[str, Tensor] | None:
    """A column (N,) float32 for every attribute of any picture, nan where a picture lacks it."""
    names = sorted({name for it in said for name in it.attributes})
    return {name: torch.tensor([it.attributes.get(name, math.nan) for it in said]) for name in names} or None
