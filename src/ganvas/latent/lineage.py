"""Lineages: parents from seeds and litters, and the records of all ancestors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from .. import files, records
from ..errors import RequestError
from ..types import Decoder
from .breeding import Child
from .saved import read_latents
from .seeds import from_seeds, parse_seeds

LINEAGE, LATENTS, SHEET = "lineage.json", "latents.npz", "sheet.png"  # in a litter's directory
SEEDS = re.compile(r"\d+(-\d+)?")


class Individual(NamedTuple):
    """A possible parent: its latent (...), and the records of itself and all its ancestors."""

    name: str
    latent: Tensor
    line: dict[str, dict[str, Any]]  # name -> the fields of a Birth; seeds have none


Parents = str | int | Individual | Iterable["str | int | Individual"]  # "3,17,litter/5", a seed, children, a litter


def find_parents(parents: Parents, decoder: Decoder) -> list[Individual]:
    """Seeds and children of litters, each once, in order. Raises RequestError where nothing is found."""
    found = {one.name: one for one in _each(parents, decoder)}
    if not found:
        raise RequestError(f"{parents!r} names no parent", "write such as 3,17 or litter/5", field="parents")
    return list(found.values())


def _each(parents: Parents, decoder: Decoder) -> Iterable[Individual]:
    if isinstance(parents, Individual):
        yield parents
    elif isinstance(parents, int):
        yield Individual(f"seed-{parents}", from_seeds(decoder, [parents])[0], {})
    elif isinstance(parents, str):
        for part in filter(None, parents.replace(" ", "").split(",")):
            if SEEDS.fullmatch(part):
                yield from _each(parse_seeds(part), decoder)
            else:
                yield read_child(part, from_seeds(decoder, [0]))
    else:
        for one in parents:
            yield from _each(one, decoder)


def read_child(text: str, like: Tensor) -> Individual:
    """The child DIRECTORY/K, K its number or name; like: latents of its shape, (n, ...). RequestError without one."""
    folder, which = Path(text).parent, Path(text).name
    if not (folder / LINEAGE).is_file():
        raise RequestError(f"{text!r} is neither a seed nor a child", "write such as 3,17 or litter/5", field="parents")
    lineage = files.read_json(folder / LINEAGE, records.Lineage, "breed the litter again")
    z = read_latents(folder / LATENTS, like)
    names = lineage["children"]
    row = names.index(which) if which in names else int(which) if which.isdecimal() else len(names)
    if row >= min(len(names), len(z)):
        known = f"its children are 0 to {min(len(names), len(z)) - 1}"
        raise RequestError(f"{folder} has no child {which!r}", known, field="parents")
    return Individual(names[row], z[row], {name: {**birth} for name, birth in lineage["individuals"].items()})


def lineage_of(parents: Sequence[Individual], litter: Sequence[Child], facts: dict[str, Any]) -> dict[str, Any]:
    """The content of lineage.json: `facts`, the names of parents and children, and the records of all ancestors."""
    line = {name: record for parent in parents for name, record in parent.line.items()}
    return {
        **facts,
        "parents": [parent.name for parent in parents],
        "children": [child.name for child in litter],
        "individuals": line | {child.name: child.birth._asdict() for child in litter},
    }
