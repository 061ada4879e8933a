"""Tables with a column of pictures: Parquet, Arrow, and what the `datasets` library saves."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..progress import Progress, Steps
from .columns import (
    CLASSES,
    NUMBER,
    OTHER,
    PICTURES,
    TEXT,
    TEXTS,
    WHOLE,
    Columns,
    Kind,
    choose_columns,
    is_picture,
    number_of,
    words_of,
)
from .dataset import Dataset
from .decoding import decoding
from .joining import in_order, joined
from .labels import Labels
from .options import DataError, Options, blaming
from .splits import Fetching, choose_split, here
from .store import cached
from .table_rows import AGAIN, AT_ONCE, Part, Rows, content
from .tar import stamp_of_files
from .tree import holds

if TYPE_CHECKING:
    from pyarrow import Schema  # pyright: ignore[reportMissingImports]

VERSION = 1  # of what is cached
SUFFIXES = (".parquet", ".arrow", ".feather")
SAVED, SAVED_SPLITS = "state.json", "dataset_dict.json"  # of datasets.save_to_disk
WORDS = 4096  # rows of a batch without pictures


def is_table(path: Path) -> bool:
    """Whether `path` is a table, or a folder of tables without pictures beside them."""
    if path.is_file():
        return path.suffix.lower() in SUFFIXES
    return holds(path, lambda file: file.suffix.lower() in SUFFIXES)


def read_table(path: Path, options: Options) -> Steps[Dataset]:
    """The pictures of a table, or of a folder of tables."""
    files = sorted(found for found in path.rglob("*") if is_table(found)) if path.is_dir() else [path]
    with blaming(f"{path} cannot be read", "check its permissions"):
        stamp = stamp_of_files(files)
    key = f"{path.stem}-table{VERSION}-{stamp}-{options.key}"
    dataset = yield from cached(key, _found(path, options))
    return replace(dataset, origin=replace(dataset.origin, place=str(path)))  # the cache may be of a copy


def _found(path: Path, options: Options) -> Steps[Dataset]:
    needs_datasets(str(path))
    splits, features = ({"": [str(path)]}, {}) if path.is_file() else _splits(path)
    return (yield from reading_tables(splits, features, str(path), path.stem, options))


def needs_datasets(place: str) -> None:
    """DataError that says what to install, where the library is absent."""
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise DataError(f"{place!r} needs the library datasets", "pip install 'ganvas[hub]'") from error
    datasets.disable_progress_bars()


def _splits(folder: Path) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """The files of each split of a folder, and the features that its README declares."""
    if (folder / SAVED).is_file():
        return {"": _saved(folder)}, {}
    if (folder / SAVED_SPLITS).is_file():
        with blaming(f"{folder / SAVED_SPLITS} is damaged", "save the data set again", Exception):
            names = json.loads((folder / SAVED_SPLITS).read_text(encoding="utf-8"))["splits"]
            return {str(name): _saved(folder / str(name)) for name in names}, {}
    import datasets

    with blaming(f"the tables in {folder} cannot be read", AGAIN, Exception):
        builder = datasets.load_dataset_builder(str(folder))
        files = {str(name): list(found) for name, found in (builder.config.data_files or {}).items()}
        return files, dict(builder.info.features or {})


def _saved(folder: Path) -> list[str]:
    """The tables of one split that datasets.save_to_disk wrote."""
    with blaming(f"{folder} is not a split that datasets.save_to_disk wrote", "save the data set again", Exception):
        names = [entry["filename"] for entry in json.loads((folder / SAVED).read_text("utf-8"))["_data_files"]]
        if any(Path(name).name != name for name in names):
            raise DataError(f"{folder / SAVED} names files elsewhere", "save the data set again")
        return [str(folder / name) for name in names]


def reading_tables(
    splits: dict[str, list[str]],
    features: dict[str, Any],
    place: str,
    name: str,
    options: Options,
    chosen: str = "",
    fetching: Fetching = here,
) -> Steps[Dataset]:
    """The pictures of the split that the options ask for, of `chosen` as the one to train on.

    splits: the files of each; only those that are needed are fetched.
    features: of columns that the files themselves do not declare.
    """
    if not any(splits.values()):
        raise DataError(f"{place} contains no tables", "give a folder of .parquet files")
    split, notes = choose_split(splits, options, place, chosen)
    train = choose_split(splits, options._replace(split="train"), place, chosen)[0]
    rows = Rows((yield from fetching(splits[split])), place)
    with blaming(f"the columns of {place} cannot be understood", AGAIN, Exception):  # such as damaged names
        columns = choose_columns(_kinds(rows, features), options, place)
    rows.column = columns.image
    known = yield from _known(rows, columns)
    classes = columns.classes or in_order(known.classes)
    if split != train and columns.label and not columns.classes:  # numbered like those of the training split
        others = Rows((yield from fetching(splits[train])), place)
        first = in_order((yield from _known(others, columns._replace(caption="", attributes=()))).classes)
        classes = (*first, *(label for label in classes if label not in first))
    decoded = yield from decoding(rows, known.files, options)
    known.notes[:0] = [*notes, *columns.notes]
    dataset = joined(name, decoded, known, classes)
    counts = _counts(splits) if fetching is here and len(splits) > 1 else ()
    return replace(dataset, origin=replace(dataset.origin, splits=counts))


def _counts(splits: dict[str, list[str]]) -> tuple[tuple[str, int], ...]:
    """How many rows each split has."""
    return tuple((name, sum(Part.of(Path(file)).rows for file in files)) for name, files in splits.items())


def _kinds(rows: Rows, declared: dict[str, Any]) -> dict[str, Kind]:
    """What each column holds, by its type and, where that leaves it open, by its first cells."""
    schema, place = rows.parts[0].schema, rows.place
    for part in rows.parts[1:]:
        if part.schema.names != schema.names:
            problem = f"{part.path} has the columns {part.schema.names}, others of {place} have {schema.names}"
            raise DataError(problem, "give tables with the same columns")
    if len({*schema.names}) < len(schema.names):
        raise DataError(f"{place} has two columns of one name", "rename one")
    features = {**_features(schema), **declared}
    return {name: _kind(rows, name, features.get(name)) for name in schema.names}


def _features(schema: Schema) -> dict[str, Any]:
    """The features of the columns: as `datasets` wrote them into the file, or what their types say."""
    import pyarrow  # pyright: ignore[reportMissingImports]
    from datasets import Features

    found: dict[str, Any] = {}
    for column in schema:
        for metadata in (schema.metadata, None):  # that of a newer version may not be understood
            with suppress(Exception):
                alone = pyarrow.schema([column], metadata)
                found[column.name] = Features.from_arrow_schema(alone)[column.name]
                break
    return found


def _kind(rows: Rows, name: str, feature: Any) -> Kind:
    import datasets

    if isinstance(feature, datasets.ClassLabel):
        return Kind(CLASSES, tuple(map(str, feature.names)))
    if isinstance(feature, datasets.Image) or (isinstance(feature, dict) and "bytes" in feature):
        return Kind(PICTURES)
    kind = getattr(feature, "dtype", "")
    if isinstance(feature, datasets.Value) and "binary" not in kind:
        if kind in ("string", "large_string", "string_view"):
            return Kind(TEXT)
        whole, number = kind.startswith(("int", "uint")), kind.startswith(("float", "bool", "decimal"))
        return Kind(WHOLE if whole else NUMBER if number else OTHER)
    inner = getattr(feature, "feature", None)
    if getattr(inner, "dtype", "") in ("string", "large_string"):
        return Kind(TEXTS)
    if "binary" in kind or getattr(inner, "dtype", "") in ("uint8", "int64", "int32", "int16"):
        return Kind(PICTURES if is_picture(_first(rows, name)) else OTHER)
    return Kind(OTHER)


def _first(rows: Rows, name: str) -> bytes | None:
    """The first cell of a column that holds anything."""
    for part in rows.parts:
        with blaming(f"{part.path} cannot be read as a table", AGAIN, Exception):
            for _, batch in part.batches([name], AT_ONCE):
                for cell in batch.column(0):
                    with suppress(OSError):
                        return content(cell.as_py())
    return None


def _known(rows: Rows, columns: Columns) -> Steps[Labels]:
    """The labels, captions and numbers of all rows."""
    count = len(rows)
    known = Labels.of(rows.files)
    known.attributes |= {name: np.full(count, np.nan, np.float32) for name in columns.attributes}
    names = [*filter(None, (columns.label, columns.caption)), *columns.attributes]
    for number, part in enumerate(rows.parts if names else ()):
        first = int(rows.starts[number])
        with blaming(f"{part.path} cannot be read as a table", AGAIN, Exception):
            for start, batch in part.batches(names, WORDS):
                cells = dict(zip(batch.schema.names, batch.columns, strict=True))
                here = slice(first + start, first + start + batch.num_rows)
                if columns.label:
                    known.classes[here] = [_label(value, columns.classes) for value in cells[columns.label].to_pylist()]
                if columns.caption:
                    known.captions[here] = [words_of(value) for value in cells[columns.caption].to_pylist()]
                for name, values in known.attributes.items():
                    with np.errstate(over="ignore"):
                        values[here] = [number_of(value) for value in cells[name].to_pylist()]
                yield Progress("reading the table", here.stop, count)
    return known


def _label(value: Any, classes: tuple[str, ...]) -> str:
    """The name of a class; "" for none, which the hub writes as -1."""
    if classes and isinstance(value, int):
        return classes[value] if 0 <= value < len(classes) else ""
    return words_of(value)
