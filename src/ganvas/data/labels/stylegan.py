"""StyleGAN's dataset.json: {"labels": [["00000/img00000.png", 3], ...]}."""

from __future__ import annotations

import json
from typing import Any

from ..options import DataError, blaming
from .table import Table

FIX = 'write {"labels": [["00000/img00000.png", 3], ...]}, or remove it'


def parse_dataset_json(text: str, file: str, place: str) -> Table:
    """Whole numbers and words are classes, and so are vectors with a single 1; other vectors are attributes.

    DataError where the text is not such a list.
    """
    with blaming(f"{place} is not JSON", FIX, (ValueError, RecursionError)):
        content = json.loads(text)
    labels = content.get("labels", ...) if isinstance(content, dict) else ...
    if labels is None:
        return Table(file, {}, notes=(f"{file} holds no labels (null): there are no classes from it",))
    pairs = list(labels.items()) if isinstance(labels, dict) else labels
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        raise DataError(f"{place} is not StyleGAN's list of labels", FIX)
    files, values = [str(name) for name, _ in pairs], [value for _, value in pairs]
    vectors = [value for value in values if isinstance(value, list)]
    if not vectors:
        return Table(file, {"file": files, "label": ["" if value is None else str(value) for value in values]})
    if len(vectors) != sum(value is not None for value in values) or len({*map(len, vectors)}) != 1:
        raise DataError(f"the labels of {place} are of different kinds and lengths", FIX)
    if all(_is_one_hot(vector) for vector in vectors):
        return Table(file, {"file": files, "label": [str(value.index(1)) if value else "" for value in values]})
    width = len(vectors[0])
    columns = {f"label {i}": [str(value[i]) if value else "" for value in values] for i in range(width)}
    return Table(file, {"file": files, **columns})


def _is_pair(pair: Any) -> bool:
    if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
        return False
    values = pair[1] if isinstance(pair[1], list) else [pair[1]]
    kinds = (int, float) if isinstance(pair[1], list) else (int, str, type(None))
    return all(isinstance(value, kinds) and not isinstance(value, bool) for value in values)


def _is_one_hot(vector: list[float]) -> bool:
    return len(vector) > 1 and vector.count(1) == 1 and vector.count(0) == len(vector) - 1
