"""The splits of tables and archives: which is trained on, and which is held out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ..progress import Steps
from .layout import SPLITS
from .options import Options

WORDS = {**SPLITS, "eval": "test", "evaluation": "test"}  # of the hub's file names


Fetching = Callable[[list[str]], Steps[list[Path]]]  # the files of a split on this machine


def split_in(path: str) -> str:
    """The split that a path names in its last words: "train", "test", "val", or "" for none."""
    words = re.split(r"[^a-z]+", path.lower())
    return next((WORDS[word] for word in reversed(words) if word in WORDS), "")


def choose_split(names: Iterable[str], options: Options, place: str, chosen: str = "") -> tuple[str, list[str]]:
    """The name of the split that the options ask for, and notes about those that are not used.

    Trained on is `chosen`, else `train`, else the first; held out is `test`, else `validation`. NoSplit where the
    held-out part is asked for and there is none.
    """
    names = list(names)
    train = chosen or next((name for name in names if split_in(name) == "train"), names[0])
    kinds = {split_in(name): name for name in reversed(names) if name != train}
    held = kinds.get("test") or kinds.get("val")
    if options.split != "train" and held is None:
        options.require_train(place)
    left = [name for name in names if name not in (train, held)]
    how = "to train on one, give its own folder or file, or hf:owner/name@SPLIT"
    notes = [f"not used: the split {', '.join(left)}; {how}"] if left else []
    return (train if options.split == "train" else str(held)), notes


def here(files: list[str]) -> Steps[list[Path]]:
    """The paths of files on this machine; a reader of the hub's downloads them instead."""
    yield from ()
    return [Path(file) for file in files]
