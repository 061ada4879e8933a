"""The words that lie beside pictures: labels, captions and attributes, file by file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ..errors import RequestError
from .decode import SUFFIXES
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
class Words:
    """What is said of one picture."""

    label: str | None = None
    caption: str | None = None
    attributes: dict[str, float] = field(default_factory=dict)


def read_words(tree: Tree) -> dict[str, Words]:
    """Words by picture, from every `.txt` named like it (first line), `captions.jsonl`, `metadata.jsonl` and
    `labels.csv` of the tree; what is named later wins. Paths in a file are relative to where it lies.
    """
    words: dict[str, Words] = {}
    texts = {_stem(file): file for file in tree.files if PurePosixPath(file).suffix.lower() == ".txt"}
    for file in tree.files:
        if PurePosixPath(file).suffix.lower() in SUFFIXES and _stem(file) in texts:
            lines = _text(tree, texts[_stem(file)]).strip().splitlines()
            words[file] = Words(caption=lines[0].strip() if lines else None)
    readers: dict[str, Callable[[str, str], list[dict[str, str]]]] = {
        "captions.jsonl": _json_lines,
        "metadata.jsonl": _json_lines,
        "labels.csv": _csv_rows,
    }
    for name, read in readers.items():
        for file in tree.files:
            if PurePosixPath(file).name == name:
                rows = read(_text(tree, file), f"{tree.place}/{file}")
                named = [_add(words, row, file, f"{tree.place}/{file}") for row in rows]
                _check(tree, file, {picture: words[picture] for picture in named})
    return words


def _stem(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(""))


def _text(tree: Tree, file: str) -> str:
    try:
        text = tree.read(file).decode("utf-8-sig")
    except OSError as error:
        raise RequestError(f"{tree.place}/{file} cannot be read ({error}); mend or remove it") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{tree.place}/{file} is not UTF-8 ({error}); save it as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _json_lines(text: str, place: str) -> list[dict[str, str]]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would end lines at characters of captions too
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise RequestError(f"line {number} of {place} is not JSON ({error}); mend or remove it") from error
            if not isinstance(row, dict):
                raise RequestError(f"line {number} of {place} is not a JSON object; mend or remove it")
            rows.append({_key(key): str(value) for key, value in row.items() if isinstance(value, str | int | float)})
    return rows


def _csv_rows(text: str, place: str) -> list[dict[str, str]]:
    try:
        table = csv.reader(io.StringIO(text), skipinitialspace=True, strict=True)
        rows = [[cell.strip() for cell in row] for row in table]
    except csv.Error as error:
        raise RequestError(f"{place} cannot be read as a table: {error}; mend or remove it") from error
    rows = [row for row in rows if any(row)]  # spreadsheets leave rows of commas behind
    heads = [_key(name) for name in rows[0]] if rows else []
    if rows and not set(heads).intersection(FILE_KEYS):
        raise RequestError(f"{place} has no column 'file'; begin it with a header such as file,label,caption")
    for row in rows[1:]:
        if any(row[len(heads) :]):
            raise RequestError(
                f"the row of {row[0]!r} in {place} has {len(row)} cells under {len(heads)} heads; "
                "put what has a comma in it in quotes"
            )
    return [{head: cell for head, cell in zip(heads, row, strict=False) if head and cell} for row in rows[1:]]


def _key(name: str) -> str:
    """The name of a column, in small letters where it is one that is known."""
    return name.lower() if name.lower() in KEYS else name


def _add(words: dict[str, Words], row: dict[str, str], file: str, place: str) -> str:
    """Note what a row says: its label, its caption, and every other column that is a number as an attribute.

    Gives the picture that it speaks of.
    """
    name = next((row[key] for key in FILE_KEYS if key in row), None)
    if name is None:
        raise RequestError(f"a row of {place} names no file; give each one a 'file'")
    picture = str(PurePosixPath(file).parent / name)
    said = words.setdefault(picture, Words())
    said.label = row.get("label", said.label)
    said.caption = next((row[key] for key in CAPTION_KEYS if key in row), said.caption)
    for key, value in row.items():
        if key not in KEYS:
            try:
                said.attributes[key] = float(value)
            except ValueError:
                continue  # a column of words that are neither label nor caption
    return picture


def _check(tree: Tree, file: str, said: dict[str, Words]) -> None:
    """Refuse a file of words that speaks of no picture there is, or that says nothing."""
    if said and not said.keys() & set(tree.files):
        raise RequestError(
            f"none of the {len(said)} files that {tree.place}/{file} names is there (such as {next(iter(said))!r}); "
            "name them as they are called from its folder"
        )
    if said and PurePosixPath(file).name != "metadata.jsonl" and all(it == Words() for it in said.values()):
        raise RequestError(  # the hub's own metadata may tell of other things, such as boxes
            f"{tree.place}/{file} tells no label, caption or number of any picture; name its columns file,label,caption"
        )


def emoji_words(tree: Tree, pictures: str) -> dict[str, Words]:
    """Words by picture from the `emoji.json` of iamcal's emoji-data: the category as label, the name as caption."""
    words: dict[str, Words] = {}
    try:
        for emoji in json.loads(tree.read("emoji.json")):
            name = emoji["name"].lower()
            words[pictures + emoji["image"]] = Words(emoji["category"], name)
            for code, variation in emoji.get("skin_variations", {}).items():
                tones = " and ".join(SKIN_TONES[tone] for tone in code.split("-"))
                words[pictures + variation["image"]] = Words(emoji["category"], f"{name}, {tones} skin tone")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"emoji.json of {tree.place} cannot be read ({error!r}); fetch it again") from error
    return words
