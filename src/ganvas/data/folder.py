"""Pictures in a folder or a .zip, with the label files next to them, decoded once into one array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..progress import Steps
from ..sizes import Size
from .dataset import Dataset
from .decode import SUFFIXES
from .decoding import decoding
from .labels import Labels, read_emoji_labels, read_labels
from .layout import TOP, lay_out, top_folders
from .notes import left_out
from .options import DataError, Options
from .store import cached
from .tree import Folder, Tree, Zip

VERSION = 9  # of the decoding, raised when pixels or labels change, since they are cached
EMOJI = "img/google/64/"
NO_CLASS = (TOP, "unlabelled")  # the classes of pictures in no sub-folder, and of pictures without a label


class Pictures(NamedTuple):
    """The pictures of a folder or an archive, of all splits."""

    tree: Tree
    files: list[str]
    name: str
    read_labels: Callable[[Tree, list[str], Options], Labels]


def is_emoji(path: Path) -> bool:
    """Whether `path` has the layout of emoji-datasource-google."""
    return (path / "emoji.json").is_file() and (path / EMOJI).is_dir()


def read_emoji(path: Path, options: Options) -> Steps[Dataset]:
    """The 64x64 pictures of npm's emoji-datasource-google, with their names and categories."""
    options.require_train("emoji")
    tree = Folder(path)
    files = [file for file in _pictures(tree) if file.startswith(EMOJI)]

    def labels(tree: Tree, files: list[str], _: Options) -> Labels:
        return read_emoji_labels(tree, files, EMOJI)

    return _read(Pictures(tree, files, "emoji", labels), options._replace(size=options.size or Size(64, 64)))


def read_folder(path: Path, options: Options) -> Steps[Dataset]:
    """Every picture below `path`, a folder or a .zip. Sub-folders are classes, unless label files have some.

    Classes are numbered over all splits, so that a number means the same in each.
    """
    tree = Zip(path) if path.is_file() else Folder(path)
    return _read(_pictures_of(tree, path.stem), options)


def reading_tree(tree: Tree, name: str, options: Options) -> Steps[Dataset]:
    """Every picture of a tree, as `read_folder` reads them, but not from the cache."""
    return _decoded(_pictures_of(tree, name), options, key="")


def _pictures_of(tree: Tree, name: str) -> Pictures:
    files = _pictures(tree)
    if not files:
        others = "".join(f" ({note})" for note in left_out(tree.files))
        raise DataError(f"{tree.place} contains no images{others}", f"put some there ({', '.join(SUFFIXES)})")
    return Pictures(tree, files, name, read_labels)


def _pictures(tree: Tree) -> list[str]:
    return [file for file in tree.files if file.lower().endswith(SUFFIXES)]


def _read(pictures: Pictures, options: Options) -> Steps[Dataset]:
    columns = sha256(repr((options.image, options.caption)).encode()).hexdigest()[:4]
    form = f"{columns}-{options.size or 'auto'}-{options.channels or 'auto'}-{options.levels}-{options.truncated}"
    key = f"{pictures.name}-{VERSION}-{pictures.tree.stamp()}-{options.split}-{form}"
    dataset = yield from cached(key, _decoded(pictures, options, key))
    return replace(dataset, origin=replace(dataset.origin, place=pictures.tree.place))  # the cache may be of a copy


def _decoded(pictures: Pictures, options: Options, key: str) -> Steps[Dataset]:
    tree, name = pictures.tree, pictures.name
    labels = pictures.read_labels(tree, pictures.files, options)
    splits = {file: split for file, split in zip(labels.files, labels.splits, strict=True) if split}
    layout = lay_out(pictures.files, splits)
    if options.split not in layout.parts:
        options.require_train(tree.place)
        raise DataError(f"{tree.place} has no pictures to train on", "put some into the split 'train'")
    decoded = yield from decoding(tree, layout.parts[options.split], options, key)
    rows = {file: row for row, file in enumerate(labels.files)}
    own = [rows[file] for file in decoded.files]
    numbers, class_names, notes = _classes(own, layout.inside, labels)
    captions = tuple(labels.captions[row] for row in own) if any(labels.captions[row] for row in own) else None
    attributes = {name: torch.from_numpy(labels.attributes[name][own]) for name in sorted(labels.attributes)}
    notes = (*layout.notes, *notes, *decoded.origin.notes, *labels.notes, *left_out(tree.files))
    origin = replace(decoded.origin, notes=notes, splits=layout.counts)
    return Dataset(name, decoded.items, numbers, class_names, captions, attributes or None, origin=origin)


def _classes(
    own: list[int], inside: dict[str, str], labels: Labels
) -> tuple[Tensor | None, tuple[str, ...], tuple[str, ...]]:
    """Labels and class names of pictures, by their rows: those of label files or, without any, the sub-folders; and
    a note of folders that are then not used.

    Classes are numbered over every split. Those of NO_CLASS come last, and only if a picture of `own` is in them, so
    that a test split without classes adds none to train.
    """
    tops = top_folders(list(inside.values()))
    names = [tops.get(inside.get(file, ""), TOP) for file in labels.files]
    used = [file in inside for file in labels.files]
    notes: tuple[str, ...] = ()
    given = any(label for label, use in zip(labels.classes, used, strict=True) if use)
    if given:
        if folders := sorted({name for name, use in zip(names, used, strict=True) if use} - {TOP}):
            shown = f"{', '.join(folders[:3])}{', ...' * (len(folders) > 3)}"
            notes = (f"classes are those of the label files, and not the {len(folders):,} folders ({shown})",)
        names = [label or "unlabelled" for label in labels.classes]
    known = {name for name, use in zip(names, used, strict=True) if use}.difference(NO_CLASS)
    mine = [names[row] for row in own]
    if not known.intersection(mine) or (len(known.union(mine)) == 1 and not given):
        return None, (), notes
    digits = given and all(map(str.isdecimal, known))  # class 10 of a label file comes after class 9
    classes = sorted(
        known.union(mine), key=lambda name: (name in NO_CLASS, int(name) if digits and name in known else 0, name)
    )
    numbers = {name: i for i, name in enumerate(classes)}
    return torch.tensor([numbers[name] for name in mine]), tuple(classes), notes
