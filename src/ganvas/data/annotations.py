"""The annotations next to pictures: labels, captions and attributes, file by file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from .decode import SUFFIXES
from .options import DataError
from .tree import Tree

FILE_KEYS = ("file", "file_name", "filename", "image")
CAPTION_KEYS = ("caption", "text")
KEYS = (*FILE_KEYS, *CAPTION_KEYS, "label")
SKIN_TONES = {
    "1F3FB": "light",
    "1F3FC": "medium-light",
    "1F3FD": "medium",
    "1F3FE": "medium-dark",
    "1F3FF": "dark",
}


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
    texts = {_stem(file): file for file in tree.files if PurePosixPath(file).suffix.lower() == ".txt"}
    for file in tree.files:
        if PurePosixPath(file).suffix.lower() in SUFFIXES and _stem(file) in texts:
            lines = _text(tree, texts[_stem(file)]).strip().splitlines()
            annotations[file] = Annotation(caption=lines[0].strip() if lines else None)
    readers: dict[str, Callable[[str, str], list[dict[str, str]]]] = {
        "captions.jsonl": _json_lines,
        "metadata.jsonl": _json_lines,
        "labels.csv": _csv_rows,
    }
    for name, read in readers.items():
        for file in tree.files:
            if PurePosixPath(file).name == name:
                rows = read(_text(tree, file), f"{tree.place}/{file}")
                pictures = [_add(annotations, row, file, f"{tree.place}/{file}") for row in rows]
                _check(tree, file, {picture: annotations[picture] for picture in pictures})
    return annotations


def _stem(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(""))


def _text(tree: Tree, file: str) -> str:
    try:
        text = tree.read(file).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{tree.place}/{file} cannot be read ({error})", "fix or remove it") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{tree.place}/{file} is not UTF-8 ({error})", "save it as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _json_lines(text: str, place: str) -> list[dict[str, str]]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would also split at characters inside captions
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"line {number} of {place} is not JSON ({error})", "fix or remove it") from error
            if not isinstance(row, dict):
                raise DataError(f"line {number} of {place} is not a JSON object", "fix or remove it")
            rows.append({_key(key): str(value) for key, value in row.items() if isinstance(value, str | int | float)})
    return rows


def _csv_rows(text: str, place: str) -> list[dict[str, str]]:
    try:
        table = csv.reader(io.StringIO(text), skipinitialspace=True, strict=True)
        rows = [[cell.strip() for cell in row] for row in table]
    except csv.Error as error:
        raise DataError(f"{place} cannot be read as a table: {error}", "fix or remove it") from error
    rows = [row for row in rows if any(row)]  # spreadsheets leave rows of commas
    columns = [_key(name) for name in rows[0]] if rows else []
    if rows and not set(columns).intersection(FILE_KEYS):
        raise DataError(f"{place} has no column 'file'", "begin it with a header such as file,label,caption")
    for row in rows[1:]:
        if any(row[len(columns) :]):
            raise DataError(
                f"the row of {row[0]!r} in {place} has {len(row)} cells under {len(columns)} column names",
                "put a cell that contains a comma in quotes",
            )
    return [{head: cell for head, cell in zip(columns, row, strict=False) if head and cell} for row in rows[1:]]


def _key(name: str) -> str:
    """The name of a column, in lower case if it is one of KEYS."""
    return name.lower() if name.lower() in KEYS else name


def _add(annotations: dict[str, Annotation], row: dict[str, str], file: str, place: str) -> str:
    """Add a row: its label, its caption, and every other number as an attribute. Returns the picture."""
    name = next((row[key] for key in FILE_KEYS if key in row), None)
    if name is None:
        raise DataError(f"a row of {place} names no file", "give each row a 'file'")
    picture = str(PurePosixPath(file).parent / name)
    annotation = annotations.setdefault(picture, Annotation())
    annotation.label = row.get("label", annotation.label)
    annotation.caption = next((row[key] for key in CAPTION_KEYS if key in row), annotation.caption)
    for key, value in row.items():
        if key not in KEYS:
            try:
                annotation.attributes[key] = float(value)
            except ValueError:
                continue  # a column of other text
    return picture


def _check(tree: Tree, file: str, annotations: dict[str, Annotation]) -> None:
    """Refuse a file of annotations if none of its pictures exists or it annotates nothing."""
    if annotations and not annotations.keys() & set(tree.files):
        raise DataError(
            f"none of the {len(annotations)} files that {tree.place}/{file} names exists, "
            f"such as {next(iter(annotations))!r}",
            "give their paths relative to its folder",
        )
    # The hub's own metadata.jsonl may be about other things, such as boxes.
    is_empty = all(it == Annotation() for it in annotations.values())
    if annotations and is_empty and PurePosixPath(file).name != "metadata.jsonl":
        raise DataError(
            f"{tree.place}/{file} has no label, caption or number column", "name its columns file,label,caption"
        )


def read_emoji_annotations(tree: Tree, pictures: str) -> dict[str, Annotation]:
    """Annotations by picture from the `emoji.json` of iamcal's emoji-data: label = category, caption = name."""
    annotations: dict[str, Annotation] = {}
    try:
        for emoji in json.loads(tree.read("emoji.json")):
            name = emoji["name"].lower()
            annotations[pictures + emoji["image"]] = Annotation(emoji["category"], name)
            for code, variation in emoji.get("skin_variations", {}).items():
                tones = " and ".join(SKIN_TONES[tone] for tone in code.split("-"))
                annotations[pictures + variation["image"]] = Annotation(emoji["category"], f"{name}, {tones} skin tone")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"emoji.json of {tree.place} cannot be read ({error!r})", "download it again") from error
    return annotations
