"""Captions in text files, each with the name of its picture."""

from __future__ import annotations

import re
from posixpath import splitext

from ..tree import Tree
from .table import Table
from .text import read_text

BOX = re.compile(r"\d+( [\d.e+-]+){4,}")  # a class and a box, as detectors are trained with


def read_beside(tree: Tree, files: list[str]) -> Table:
    """The first line of the `.txt` with the name of a picture is its caption."""
    texts = {file[:-4]: file for file in tree.files if file.lower().endswith(".txt")}
    found: dict[str, str] = {}
    for file in files:
        if texts and (text := texts.get(splitext(file)[0])):
            lines = read_text(tree, text).strip().splitlines()
            found[file] = lines[0].strip() if lines else ""
    given = [caption for caption in found.values() if caption]
    if given and all(map(BOX.fullmatch, given)):
        note = f"the .txt beside {len(found):,} pictures hold boxes of a detector, not captions, and are not used"
        return Table("*.txt", {}, notes=(note,))
    return Table("*.txt", {"file": list(found), "caption": list(found.values())})
