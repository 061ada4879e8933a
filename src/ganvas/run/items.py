"""The data of a run: opened, kept with it, found again where it has moved, and compared with what it began with."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from .. import recipes
from ..data import Dataset, Options, Source, lasting, opening
from ..data.options import NoSplit
from ..data.places import find, is_gone, way_to
from ..errors import RequestError
from ..progress import Note, Progress, Steps, drain
from ..sizes import Size
from .state import RunState

KEPT = "data"  # the store, in a run directory, of data that came from memory
NAMED = 3  # of the files that cannot be read, in a warning; of the classes, in a difference

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """The data with which a run continues."""

    dataset: Dataset
    source: Source  # what it was opened from
    changed: bool  # whether it is not what the run has learned from so far


def opening_items(source: Source, reading: Options, held_out: float) -> Steps[Dataset]:
    """The source as a run reads it; warns of files in it that cannot be read."""
    dataset = yield from opening(source, reading, hold_out=held_out)
    if unreadable := dataset.origin.unreadable:
        name = source if isinstance(source, str | Path) else dataset.name
        logger.warning("%d files of %s cannot be read and are left out: %s", len(unreadable), name, some(unreadable))
    return dataset


def some(unreadable: Sequence[tuple[str, str]]) -> str:
    """The first names of files that cannot be read."""
    return ", ".join(file for file, _ in unreadable[:NAMED]) + (", ..." if len(unreadable) > NAMED else "")


def keeping(source: Source, dataset: Dataset, reading: Options, run: Path) -> Steps[str]:
    """Write data that came from memory into the run directory, with its test split if it has one; gives the path.

    Raises WorkError where it cannot be written.
    """
    whole = dataset
    if whole.held_out is None:
        with suppress(NoSplit):
            test = yield from opening(source, reading.like(dataset)._replace(split="test"))
            whole = replace(dataset, held_out=test)
    yield Progress("keeping the data with the run")
    target, number = run.resolve() / KEPT, 1
    while target.exists():
        number += 1
        target = target.with_name(f"{KEPT}-{number}")
    return str(whole.save(target))


def data_record(options: recipes.Training, dataset: Dataset, run: Path) -> dict[str, Any]:
    """What a record says of the data: enough to notice other data, and to find these again."""
    test = dataset.held_out
    return {
        "name": dataset.name,
        "relative": way_to(options.data, run),
        "fingerprint": dataset.fingerprint,
        "count": len(dataset),
        "shape": list(dataset.shape),
        "class_names": list(dataset.class_names),
        "meanings": digest(options.meanings(dataset)),
        "unreadable": len(dataset.origin.unreadable),
        "held_out": test and {"split": test.split, "count": len(test), "fingerprint": test.fingerprint},
    }


def digest(meanings: Sequence[str]) -> str:
    """16 hexadecimal digits of what networks know by number."""
    return hashlib.sha256(repr(list(meanings)).encode(errors="backslashreplace")).hexdigest()[:16]


def reopening(run: RunState, source: Source | None, changed: bool) -> Steps[Found]:
    """The data of a run: from `source`, or from where it is now.

    Raises RequestError where it is gone, where it is not what the run has learned from so far and `changed` does not
    accept that, and where its labels mean something else.
    """
    then, options, shape = run.record["data"], run.options, run.record["data"]["shape"]
    if source is None:
        source, note = find(run.path, run.record)
        if note:
            yield Note(note)
        if is_gone(source):
            raise RequestError(
                f"the data of {run.path} is no longer at {source}", "say where with `data`", field="data"
            )
    reading = options.reading(run.record["seed"])
    dataset = yield from opening_items(source, reading, options.held_out)
    same = dataset.fingerprint == then["fingerprint"]
    if not same and not changed:
        name = repr(str(source)) if isinstance(source, str | Path) else dataset.name
        problem = f"{name} is not what {run.path} began with ({difference(then, dataset)})"
        hint = "restore the old data, or continue on the new with `changed`; that is not an exact resume"
        raise RequestError(problem, hint, field="data")
    if not agrees(options, dataset, then, same):
        problem = f"the labels of {run.path} mean something else in this data ({difference(then, dataset)})"
        raise RequestError(problem, "give data with the same classes or words, or train a new run", field="data")
    if list(dataset.shape) != shape and len(shape) == 3:  # the networks draw one shape alone
        channels, height, width = shape
        form = reading._replace(size=Size(width, height), channels=channels)
        dataset = yield from opening_items(source, form, options.held_out)
    if list(dataset.shape) != shape:
        raise RequestError(f"{run.path} draws items of shape {shape}, not {list(dataset.shape)}", field="data")
    return Found(dataset, source, not same)


def agrees(options: recipes.Training, dataset: Dataset, then: Mapping[str, Any], same: bool) -> bool:
    """Whether the classes or words that networks know by number are those of the run."""
    now = list(options.meanings(dataset))
    if "meanings" in then:
        return digest(now) == then["meanings"]
    if now == list(dataset.class_names):  # of an early run, which has recorded these alone
        return now == then["class_names"] or not now
    return same


def difference(then: Mapping[str, Any], dataset: Dataset) -> str:
    """What is different, counted."""
    old, new = set(then["class_names"]), set(dataset.class_names)
    parts = [f"{then['count']:,} items then, {len(dataset):,} now"]
    if then["shape"] != list(dataset.shape):
        parts.append(" then, ".join("×".join(map(str, shape)) for shape in (then["shape"], dataset.shape)) + " now")
    for word, names in (("gone", old - new), ("new", new - old)):
        if names:
            shown = ", ".join(sorted(names)[:NAMED]) + (", …" if len(names) > NAMED else "")
            parts.append(f"{len(names)} of the classes {word}: {shown}")
    if len(parts) == 1 and then["count"] == len(dataset):
        parts.append("of other content")
    return "; ".join(parts)


def adopt(run: RunState, found: Found) -> None:
    """Write into the record of a run, which has been loaded, where its data is now, and since which step it is other.

    Raises WorkError where that fails.
    """
    dataset, source, changed = found
    spec = lasting(str(source)) if isinstance(source, str | Path) else find(run.path, run.record).spec
    if not isinstance(source, str | Path) and (changed or is_gone(spec)):
        with run.writing():
            spec = drain(keeping(source, dataset, run.options.reading(run.record["seed"]), run.path))
    if not changed and spec == run.options.data:
        return
    form: dict[str, Any] = {"data": spec}
    if changed and len(dataset.shape) == 3:  # which may have been brought to the shape of the run
        channels, height, width = dataset.shape
        form |= {"size": str(Size(width, height)), "channels": channels}
    before = known(run.options.data, run.record["data"])
    for options in (run.record["options"], run.record.get("resolved", {})):
        options |= form
    run.options = recipes.from_json(run.recipe, run.record["options"])
    run.record["data"] = data_record(run.options, dataset, run.path)
    if changed:
        change = {"step": run.step, "from": before, "to": known(spec, run.record["data"])}
        run.record["data_changed"] = [*run.record.get("data_changed", []), change]
    run.write_record()


def known(spec: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of data when other data replaces it: `records.Known`."""
    return {"data": spec, "fingerprint": data["fingerprint"], "count": data["count"]}
