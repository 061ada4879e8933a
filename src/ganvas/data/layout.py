"""The splits of a folder: which pictures are trained on, and which are held out."""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from pathlib import PurePosixPath
from typing import NamedTuple

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
TOP = "(top)"  # of pictures in no folder


class Layout(NamedTuple):
    """The splits that were found."""

    inside: dict[str, str]  # the pictures of both parts, each with its path inside its split
    parts: dict[str, list[str]]  # "train" and, where pictures are held out, "test": the pictures of each
    counts: tuple[tuple[str, int], ...]  # the pictures of each split by its own name; empty without splits
    notes: tuple[str, ...] = ()


def split_named(path: str) -> str | None:
    """The first split that a folder of a path is named after."""
    return next((SPLITS[part.lower()] for part in PurePosixPath(path).parts if part.lower() in SPLITS), None)


def lay_out(files: list[str], named: dict[str, str]) -> Layout:
    """The splits that label files name (`named`, some pictures) or, without any, those of folders that stand next to
    each other: `train` and `val` or `test`, each in any of the spellings of SPLITS.

    Held out is `test`; `val` where there is no test, or where the test pictures alone are in no folders.
    """
    notes: list[str] = []
    places = _split_folders(files)
    splits = {file: SPLITS[_folders(file)[places[file]].lower()] if file in places else "" for file in files}
    inside = {file: _without_folder(file, places[file]) if file in places else file for file in files}
    if named:
        if without := len(files) - len(named):
            notes.append(f"{without:,} pictures are in no split, and are trained on")
        splits = {file: named.get(file, "train") for file in files}
    elif not places:
        return Layout(inside, {"train": files}, ())
    counts = Counter(splits.values())
    if strangers := [file for file in files if not splits[file]]:
        folders = ", ".join(sorted({(*_folders(file), TOP)[0] for file in strangers}))
        notes.append(f"{len(strangers):,} pictures are in no split and are left out ({folders}): move them into one")
    held = _held_out(splits, inside)
    if held == "test" and counts["val"]:
        notes.append(f"val ({counts['val']:,}) is not used, since test is held out: move its pictures to use them")
    if held == "val" and counts["test"]:
        notes.append(f"val is held out, and test ({counts['test']:,}) is not used, since its pictures have no class")
    parts = {"train": "train", "test": held}
    chosen = {part: [file for file in files if splits[file] == split] for part, split in parts.items()}
    used = {file: inside[file] for file in files if splits[file] in ("train", held)}
    kinds = [(split, counts[split]) for split in ("train", "val", "test") if counts[split]]
    return Layout(used, {part: some for part, some in chosen.items() if some}, tuple(kinds), tuple(notes))


def _split_folders(files: list[str]) -> dict[str, int]:
    """Which of its folders names the split of a picture. Only folders count that have another split next to them, and
    those below the top only if they hold half of the pictures.
    """
    first = {file: i for file in files if (i := _first_split(_folders(file))) is not None}
    found: dict[tuple[str, ...], set[str]] = {}
    for file, i in first.items():
        folders = _folders(file)
        found.setdefault(folders[:i], set()).add(SPLITS[folders[i].lower()])
    whole = {above for above, splits in found.items() if "train" in splits and len(splits) > 1}
    places = {file: i for file, i in first.items() if _folders(file)[:i] in whole}
    depth = common_depth(files)
    at_top = any(len(above) == depth for above in whole)
    return places if at_top or 2 * len(places) >= len(files) else {}


def _first_split(folders: tuple[str, ...]) -> int | None:
    return next((i for i, folder in enumerate(folders) if folder.lower() in SPLITS), None)


def _without_folder(file: str, place: int) -> str:
    parts = file.split("/")
    return "/".join(parts[:place] + parts[place + 1 :])


def _held_out(splits: dict[str, str], inside: dict[str, str]) -> str:
    """Which of val and test is held out."""
    depth = common_depth(list(inside.values()))
    found, in_folders = {*splits.values()}, {splits[file] for file in splits if len(_folders(inside[file])) > depth}
    without_classes = {"train", "val"} <= in_folders and "test" not in in_folders
    return "val" if "test" not in found or ("val" in found and without_classes) else "test"


def top_folders(files: list[str]) -> dict[str, str]:
    """The first folder of each file below those that all have in common: archives often have one folder at the top."""
    depth = common_depth(files)
    return {file: (*_folders(file), TOP)[depth] for file in files}


def common_depth(files: list[str]) -> int:
    """How many folders, from the top, all files have in common."""
    places = {file.rpartition("/")[0]: file for file in files}.values()  # one of each folder: there may be many files
    return sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, zip(*map(_folders, places), strict=False)))


def _folders(file: str) -> tuple[str, ...]:
    return tuple(file.split("/")[:-1])  # paths of a tree, written in one way
