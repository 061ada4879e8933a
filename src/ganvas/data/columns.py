"""What the columns of a table hold: pictures, labels, captions, numbers."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .decode import Unreadable, read_header
from .labels import columns as labels
from .options import DataError, Options

# Names of columns, with those of tables that are not made by hand.
LABEL_KEYS = (*labels.LABEL_KEYS, "labels", "cls", "target", "fine_label")
CAPTION_KEYS = (*labels.CAPTION_KEYS, "captions", "texts", "sentence", "sentences", "title", "alt_text", "en")
PICTURES, CLASSES, WHOLE, NUMBER, TEXT, TEXTS, OTHER = (
    *("pictures", "classes", "whole numbers", "numbers", "text"),
    *("lists of texts", "something else"),
)


class Kind(NamedTuple):
    """What a column holds."""

    what: str  # one of the constants above
    names: tuple[str, ...] = ()  # of its classes


class Columns(NamedTuple):
    """The use of each column; "" for none."""

    image: str
    label: str
    caption: str
    attributes: tuple[str, ...]
    classes: tuple[str, ...]  # in the order of their numbers, where the label has one
    notes: tuple[str, ...]


def pick(names: Iterable[str], keys: tuple[str, ...]) -> list[str]:
    """The names among the keys, in any case, in the order of the names."""
    return [name for name in names if name.lower() in keys]


def choose_columns(kinds: Mapping[str, Kind], options: Options, place: str) -> Columns:
    """The columns that the options name or, without them, the first of each kind; notes say what else there is."""
    pictures = _of(kinds, PICTURES)
    texts = pick(_of(kinds, TEXT, TEXTS), CAPTION_KEYS)
    labels = _of(kinds, CLASSES) or pick(_of(kinds, WHOLE, TEXT), LABEL_KEYS)
    image = _chosen(options.image, "image", pictures, kinds, (PICTURES,), place)
    if not image:
        found = ", ".join(f"{name} ({kind.what})" for name, kind in kinds.items())
        hint = "pictures are PNG, JPEG or the like in a column of bytes; addresses of pictures are not followed"
        raise DataError(f"{place} has no column of pictures among {found or 'none'}", hint)
    labels = [name for name in labels if name != options.caption]
    caption = _chosen(options.caption, "caption", texts, kinds, (TEXT, TEXTS, CLASSES), place)
    label, used = next(iter(labels), ""), {image, next(iter(labels), ""), caption}
    attributes = tuple(name for name in _of(kinds, CLASSES, WHOLE, NUMBER) if name not in used)
    notes = []
    for option, what, mine, found in (("image", "pictures", image, pictures), ("caption", "captions", caption, texts)):
        others = [other for other in found if other != mine]
        if others and not getattr(options, option):
            notes.append(f"{what} are of the column {mine!r}: {option}={others[0]} takes those of {others[0]!r}")
    if labels[1:]:
        rest = ", ".join(map(repr, labels[1:]))
        notes.append(f"labels are of the column {label!r}, not of {rest}: remove it to have another")
    if unused := [name for name in kinds if name not in used.union(attributes)]:
        some = ", ".join(f"{name} ({kinds[name].what})" for name in unused)
        hint = "; caption=NAME takes another for captions" if set(unused) & set(_of(kinds, TEXT, TEXTS)) else ""
        notes.append(f"columns not used: {some}{hint}")
    return Columns(image, label, caption, attributes, kinds[label].names if label else (), tuple(notes))


def _of(kinds: Mapping[str, Kind], *wanted: str) -> list[str]:
    return [name for name, kind in kinds.items() if kind.what in wanted]


def _chosen(
    name: str, option: str, found: list[str], kinds: Mapping[str, Kind], possible: tuple[str, ...], place: str
) -> str:
    """The column that an option names, or the first found; DataError for one that cannot be it."""
    if not name:
        return next(iter(found), "")
    choices = _of(kinds, *possible)
    hint = f"choose from {', '.join(choices)}" if choices else f"no column of it can be the {option}"
    if name not in kinds:
        raise DataError(f"{place} has no column {name!r}", hint, field=option)
    if name not in choices:
        raise DataError(f"the column {name!r} of {place} holds {kinds[name].what}", hint, field=option)
    return name


def is_picture(data: object) -> bool:
    """Whether a cell is the content of a picture file."""
    if not isinstance(data, bytes) or not data:
        return False
    try:
        read_header(io.BytesIO(data), "a cell")
    except (Unreadable, ValueError):  # a bomb is refused when it is decoded
        return False
    return True


def number_of(value: Any) -> float:
    """A number or a truth as a float; nan for anything else."""
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan


def words_of(value: Any) -> str:
    """A text, or the first of several; "" where there is none."""
    if isinstance(value, list):
        value = next((text for text in value if isinstance(text, str) and text.strip()), "")
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)
