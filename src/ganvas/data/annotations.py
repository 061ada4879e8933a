"""The annotations next to pictures: labels, captions and attributes, file by file."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from .decode import SUFFIXES
from .options import DataError, blaming
from .tree import Tree

FILE_KEYS = ("file", "file_name", "filename", "image")
CAPTION_KEYS = ("caption", "text")
KEYS = (*FILE_KEYS, *CAPTION_KEYS, "label")
SKIN_TONES = {"1F3FB": "light", "1F3FC": "medium-light", "1F3FD": "medium", "1F3FE": "medium-dark", "1F3FF": "dark"}


@dataclass
class Annotation:
    """The annotation of one picture."""

    label: str | None = None
    caption: str | None = None
    attributes: dict[str, float] = field(default_factory=dict)


def read_annotations(tree: Tree) -> dict[str, Annotation]:
    """Annotations by picture, from every `.txt` of the same name (its first line), `captions.jsonl`, `metadata.jsonl`
    and `labels.csv`; later ones of this list win. Paths in a file are relative to its folder.
    """
    annotations: dict[str, Annotation] = {}
    paths = {file: PurePosixPath(file) for file in tree.files}
    texts = {path.with_suffix(""): file for file, path in paths.items() if path.suffix.lower() == ".txt"}
    for file, path in paths.items():
        if path.suffix.lower() in SUFFIXES and (text := texts.get(path.with_suffix(""))):
            lines = _text(tree, text).strip().splitlines()
            annotations[file] = Annotation(caption=lines[0].strip() if lines else None)
    for name, read in (("captions.jsonl", _json_lines), ("metadata.jsonl", _json_lines), ("labels.csv", _csv_rows)):
        for file, path in paths.items():
            if path.name == name:
                _add(annotations, read(_text(tree, file), f"{tree.place}/{file}"), tree, path)
    return annotations


def _text(tree: Tree, file: str) -> str:
    place = f"{tree.place}/{file}"
    with blaming(f"{place} cannot be read", "fix or remove it"):
        data = tree.read(file)
    with blaming(f"{place} is not UTF-8", "save it as UTF-8", UnicodeDecodeError):
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def _json_lines(text: str, place: str) -> list[dict[str, str]]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would also split at characters inside captions
        if line.strip():
            with blaming(f"line {number} of {place} is not JSON", "fix or remove it", ValueError):
                row = json.loads(line)
            if not isinstance(row, dict):
                raise DataError(f"line {number} of {place} is not a JSON object", "fix or remove it")
            rows.append({_key(key): str(value) for key, value in row.items() if isinstance(value, str | int | float)})
    return rows


def _csv_rows(text: str, place: str) -> list[dict[str, str]]:
    with blaming(f"{place} cannot be read as a table", "fix or remove it", csv.Error):
        table = csv.reader(io.StringIO(text), skipinitialspace=True, strict=True)
        rows = [[cell.strip() for cell in row] for row in table]
    rows = [row for row in rows if any(row)]  # spreadsheets leave rows of commas
    columns = [_key(name) for name in rows[0]] if rows else []
    if rows and not set(columns).intersection(FILE_KEYS):
        raise DataError(f"{place} has no column 'file'", "begin it with a header such as file,label,caption")
    for row in rows[1:]:
        if any(row[len(columns) :]):
            problem = f"the row of {row[0]!r} in {place} has {len(row)} cells under {len(columns)} column names"
            raise DataError(problem, "put a cell that contains a comma in quotes")
    return [{head: cell for head, cell in zip(columns, row, strict=False) if head and cell} for row in rows[1:]]


def _key(name: str) -> str:
    """The name of a column, in lower case if it is one of KEYS."""
    return name.lower() if name.lower() in KEYS else name


def _add(annotations: dict[str, Annotation], rows: list[dict[str, str]], tree: Tree, file: PurePosixPath) -> None:
    """Add a file's labels, captions, and as attributes, other numbers. Refuses one without any, or of no picture."""
    place, added = f"{tree.place}/{file}", {}
    for row in rows:
        name = next((row[key] for key in FILE_KEYS if key in row), None)
        if name is None:
            raise DataError(f"a row of {place} names no file", "give each row a 'file'")
        picture = str(file.parent / name)
        annotation = added[picture] = annotations.setdefault(picture, Annotation())
        annotation.label = row.get("label", annotation.label)
        annotation.caption = next((row[key] for key in CAPTION_KEYS if key in row), annotation.caption)
        for key in row.keys() - KEYS:
            with suppress(ValueError):  # a column of other text
                annotation.attributes[key] = float(row[key])
    if added and not added.keys() & set(tree.files):
        problem = f"none of the {len(added)} files that {place} names exists, such as {next(iter(added))!r}"
        raise DataError(problem, "give their paths relative to its folder")
    # The hub's own metadata.jsonl may be about other things, such as boxes.
    if added and all(it == Annotation() for it in added.values()) and file.name != "metadata.jsonl":
        raise DataError(f"{place} has no label, caption or number column", "name its columns file,label,caption")


def read_emoji_annotations(tree: Tree, pictures: str) -> dict[str, Annotation]:
    """Annotations by picture from the `emoji.json` of iamcal's emoji-data: label = category, caption = name."""
    annotations: dict[str, Annotation] = {}
    with blaming(f"emoji.json of {tree.place} cannot be read", "download it again", Exception):
        for emoji in json.loads(tree.read("emoji.json")):
            name = emoji["name"].lower()
            annotations[pictures + emoji["image"]] = Annotation(emoji["category"], name)
            for code, variation in emoji.get("skin_variations", {}).items():
                tones = " and ".join(SKIN_TONES[tone] for tone in code.split("-"))
                annotations[pictures + variation["image"]] = Annotation(emoji["category"], f"{name}, {tones} skin tone")
    return annotations
