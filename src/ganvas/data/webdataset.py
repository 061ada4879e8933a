"""Archives of samples (WebDataset), and pictures in a .tar.

The files of a sample have its key, their path up to the first dot, and differ in the rest: `a/007.jpg`, `a/007.cls`,
`a/007.txt`, `a/007.json`.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..progress import Steps
from .columns import CAPTION_KEYS, LABEL_KEYS, number_of, pick, words_of
from .dataset import Dataset
from .decode import SUFFIXES
from .decoding import decoding
from .folder import reading_tree
from .joining import in_order, joined
from .labels import Labels
from .options import DataError, Options, blaming
from .splits import Fetching, choose_split, here, split_in
from .store import cached
from .tar import Tar, is_tar, opening_tar, stamp_of_files
from .tree import holds

VERSION = 1  # of what is cached
LABEL, CAPTION, FIELDS = ("cls",), ("txt", "text", "caption"), ("json",)
MAX_SIDECAR = 2**22  # bytes of a label or a caption
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]+)\}")
MOST = 100_000  # archives of a pattern
SHOWN = 5  # names in a note


def is_archive(path: Path) -> bool:
    """Whether `path` is a .tar, or a folder of them without pictures beside them."""
    return is_tar(path) if path.is_file() else holds(path, is_tar)


def is_pattern(spec: str) -> bool:
    """Whether a spec stands for several archives: `shards-{000..003}.tar`."""
    return is_tar(Path(spec)) and RANGE.search(spec) is not None


def read_pattern(spec: str, options: Options) -> Steps[Dataset]:
    """The samples of the archives of a pattern. DataError where one is missing."""
    pattern = str(Path(spec).expanduser().absolute())
    parts = [[text] if not i % 2 else choices for i, (text, choices) in enumerate(_pieces(pattern, spec))]
    paths = [Path("".join(names)) for names in product(*parts)]
    if missing := [path for path in paths if not path.is_file()]:
        problem = f"{len(missing)} of the {len(paths)} archives of {spec!r} do not exist, such as {missing[0]}"
        raise DataError(problem, "correct the range, or get them")
    return read_shards(paths, spec, Path(RANGE.sub("", spec)).name.split(".")[0].strip("-_") or "shards", options)


def _pieces(pattern: str, spec: str) -> list[tuple[str, list[str]]]:
    """The text of a pattern before each of its braces and after them, and what each of the braces stands for."""
    pieces: list[tuple[str, list[str]]] = []
    end = 0
    for match in RANGE.finditer(pattern):
        pieces.append((pattern[end : match.start()], []))
        first, last, names = match.groups()
        if names is None and not 0 <= int(last) - int(first) < MOST:
            raise DataError(f"{spec!r} stands for no archives, or for too many", "write {000..003}")
        width = len(first or "")
        pieces.append(("", names.split(",") if names else [f"{i:0{width}}" for i in range(int(first), int(last) + 1)]))
        end = match.end()
    return [*pieces, (pattern[end:], [])]


def read_archive(path: Path, options: Options) -> Steps[Dataset]:
    """A .tar of pictures in folders or of samples, or a folder of .tar files with samples."""
    if path.is_dir():
        paths = sorted(found for found in path.rglob("*") if is_tar(found) and found.is_file())
        return read_shards(paths, str(path), path.name, options)
    return read_shards([path], str(path), path.name.split(".")[0], options)


def read_shards(paths: list[Path], place: str, name: str, options: Options) -> Steps[Dataset]:
    """The samples of archives, whose names tell their splits."""
    splits: dict[str, list[str]] = {}
    for path in paths:
        splits.setdefault(split_in(path.name) or split_in(path.parent.name), []).append(str(path))
    if "train" not in splits or len(paths) == 1:
        splits = {"": [str(path) for path in paths]}
    with blaming(f"{place} cannot be read", "check its permissions"):
        stamp = stamp_of_files(paths)
    key = f"{name}-tar{VERSION}-{stamp}-{options.key}"
    dataset = yield from cached(key, reading_archives(splits, place, name, options))
    return replace(dataset, origin=replace(dataset.origin, place=place))  # the cache may be of a copy


def reading_archives(
    splits: dict[str, list[str]], place: str, name: str, options: Options, chosen: str = "", fetching: Fetching = here
) -> Steps[Dataset]:
    """The samples of the split that the options ask for, of `chosen` as the one to train on.

    splits: the archives of each; only those that are needed are fetched.
    """
    if sum(map(len, splits.values())) == 1:
        (alone,) = splits.values()
        tree = yield from opening_tar((yield from fetching(alone)), place)
        if not _has_samples(tree):
            dataset = yield from reading_tree(tree, name, options)
            return replace(dataset, origin=replace(dataset.origin, notes=(*tree.notes, *dataset.origin.notes)))
    split, notes = choose_split(splits, options, place, chosen)
    train = choose_split(splits, options._replace(split="train"), place, chosen)[0]
    tree = yield from opening_tar((yield from fetching(splits[split])), place)
    known = _known(tree, options)
    classes = in_order(known.classes)
    if split != train and classes:  # numbered like those of the training split
        others = yield from opening_tar((yield from fetching(splits[train])), place)
        first = in_order(_known(others, options).classes)
        classes = (*first, *(label for label in classes if label not in first))
    decoded = yield from decoding(tree, known.files, options)
    known.notes[:0] = [*notes, *tree.notes]
    return joined(name, decoded, known, classes)


def _key(file: str) -> tuple[str, str]:
    """The key of the sample that a file belongs to, and its kind: ("a/007", "jpg")."""
    folder, _, name = file.rpartition("/")
    stem, _, kind = name.partition(".")
    return f"{folder}/{stem}", kind.lower()


def _is_picture(kind: str) -> bool:
    return f".{kind.rpartition('.')[2]}" in SUFFIXES


def _has_samples(tree: Tar) -> bool:
    """Whether pictures have labels or fields beside them; captions alone are read the same in folders."""
    keys = {key for key, kind in map(_key, tree.files) if _is_picture(kind)}
    return any(key in keys for key, kind in map(_key, tree.files) if kind in (*LABEL, *FIELDS))


def _known(tree: Tar, options: Options) -> Labels:
    """The pictures of the samples, one each, and what the other files of a sample say of it."""
    pictures, notes = _pictures(tree, options)
    rows = {key: row for row, (key, _) in enumerate(pictures)}
    known = Labels.of([file for _, file in pictures])
    known.notes += notes
    left: Counter[str] = Counter()
    alone: set[str] = set()
    chosen = {file for _, file in pictures}
    for file in tree.files:
        key, kind = _key(file)
        if _is_picture(kind):
            left[f".{kind}"] += file not in chosen
        elif kind not in (*LABEL, *CAPTION, *FIELDS, options.caption):
            left[f".{kind}"] += bool(kind)
        elif key not in rows:
            alone.add(key)
        elif kind in FIELDS:
            _add_fields(known, rows[key], _json(tree, file), options)
        elif kind in LABEL:
            known.classes[rows[key]] = _text(tree, file)
        elif not options.caption or kind == options.caption:
            known.captions[rows[key]] = next(iter(_text(tree, file).splitlines()), "").strip()
    if alone:
        known.notes.append(f"{len(alone):,} samples have no picture and are left out, such as {min(alone)!r}")
    if left := +left:
        some = ", ".join(f"{count:,} {kind}" for kind, count in left.most_common(SHOWN))
        known.notes.append(f"files not used: {some}; read are pictures, .cls, .txt and .json")
    if options.caption and not any(known.captions):
        hint = "name a kind of text file, or a field of .json"
        raise DataError(f"no sample of {tree.place} has a caption {options.caption!r}", hint, field="caption")
    return known


def _pictures(tree: Tar, options: Options) -> tuple[list[tuple[str, str]], list[str]]:
    """(key, file) of one picture of each sample, and a note where there are several."""
    kinds: dict[str, dict[str, str]] = {}  # of each sample, the file of each kind
    incomplete = {_key(file)[0] for file in tree.last}  # their labels may be lost
    for file in tree.files:
        key, kind = _key(file)
        if _is_picture(kind) and key not in incomplete:
            kinds.setdefault(key, {})[kind] = file
    if not kinds:
        raise DataError(f"{tree.place} contains no pictures", f"put some there ({', '.join(SUFFIXES)})")
    several = sorted({kind for files in kinds.values() if len(files) > 1 for kind in files})
    if not options.image:
        notes = []
        if several:
            notes = [f"samples have several pictures ({', '.join(several)}), of which the first is used: image=KIND"]
        return [(key, files[min(files)]) for key, files in kinds.items()], notes
    chosen = [(key, files[options.image]) for key, files in kinds.items() if options.image in files]
    if not chosen:
        found = ", ".join(sorted({kind for files in kinds.values() for kind in files})[:SHOWN])
        problem = f"no sample of {tree.place} has a picture {options.image!r}"
        raise DataError(problem, f"choose from {found}", field="image")
    without = len(kinds) - len(chosen)
    return chosen, [f"{without:,} samples without a picture {options.image!r} are left out"] if without else []


def _text(tree: Tar, file: str) -> str:
    place = f"{file} of {tree.place}"
    with blaming(f"{place} cannot be read", "fix or remove it"):
        data = tree.read(file)
    if len(data) > MAX_SIDECAR:
        raise DataError(f"{place} has {len(data):,} bytes, too many for words", "fix or remove it")
    with blaming(f"{place} is not UTF-8", "save it as UTF-8", UnicodeDecodeError):
        return data.decode("utf-8-sig").strip()


def _json(tree: Tar, file: str) -> dict[str, Any]:
    text = _text(tree, file)
    with blaming(f"{file} of {tree.place} is not JSON", "fix or remove it", (ValueError, RecursionError)):
        record = json.loads(text)
    if not isinstance(record, dict):
        raise DataError(f"{file} of {tree.place} is not a JSON object", "fix or remove it")
    return record


def _add_fields(known: Labels, row: int, record: dict[str, Any], options: Options) -> None:
    """Add the label, the caption and the numbers of a JSON object; files of their own replace the first two."""
    labels = [name for name in pick(record, LABEL_KEYS) if isinstance(record[name], str | int)]
    captions = [options.caption] if options.caption else pick(record, CAPTION_KEYS)
    if labels and not known.classes[row]:
        known.classes[row] = words_of(record[labels[0]])
    if not known.captions[row]:
        known.captions[row] = next((words_of(record[name]) for name in captions if record.get(name)), "")
    for name, value in record.items():
        if name not in labels[:1] and not math.isnan(number := number_of(value)):
            column = known.attributes.setdefault(name, np.full(len(known.files), np.nan, np.float32))
            with np.errstate(over="ignore"):
                column[row] = number
