"""What tables and archives say about their pictures, joined with the decoded pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from .dataset import Dataset
from .decoding import Decoded
from .labels import Labels

UNLABELLED = "unlabelled"  # the class of pictures without a label, where others have one


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names of classes in the order of their numbers: numbers by value, words by the alphabet."""
    found = {*names} - {""}
    if all(name.isdecimal() and len(name) < 20 for name in found):
        return tuple(sorted(found, key=lambda name: (int(name), name)))
    return tuple(sorted(found))


def joined(name: str, decoded: Decoded, known: Labels, classes: tuple[str, ...]) -> Dataset:
    """The data set of those files that could be decoded. `classes` are in the order of their numbers."""
    place = {file: row for row, file in enumerate(known.files)}
    rows = [place[file] for file in decoded.files]
    labels, captions = ([values[row] for row in rows] for values in (known.classes, known.captions))
    if any(labels) and not all(labels):
        labels = [label or UNLABELLED for label in labels]
        classes = classes if UNLABELLED in classes else (*classes, UNLABELLED)
    numbers = {label: number for number, label in enumerate(classes)}
    return Dataset(
        name,
        decoded.items,
        torch.tensor([numbers[label] for label in labels]) if any(labels) else None,
        classes if any(labels) else (),
        tuple(captions) if any(captions) else None,
        {key: torch.from_numpy(values[rows]) for key, values in sorted(known.attributes.items())} or None,
        origin=replace(decoded.origin, notes=(*known.notes, *decoded.origin.notes)),
    )
