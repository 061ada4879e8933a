"""What the JSON files of a run and of a comparison hold: the types that `files.read_json` checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NotRequired

from annotated_types import Ge, Gt, Len, Lt
from pydantic import AfterValidator
from typing_extensions import TypedDict

from . import files
from .errors import RequestError
from .sizes import parse_size

Count = Annotated[int, Ge(0), Lt(2**53)]
Seed = Annotated[int, Ge(0), Lt(2**63)]
Seconds = Annotated[float, Ge(0), Lt(2**53)]
Shape = Annotated[list[Annotated[int, Gt(0), Lt(2**20)]], Len(1, 3)]


def check_size(value: int | str) -> int | str:
    """The value. ValueError where it is no size of pictures."""
    parse_size(value)
    return value


class Options(TypedDict):
    """Of any recipe; the others are checked by the recipe."""

    data: str
    size: Annotated[int | str, AfterValidator(check_size)]  # early records have a number, and 0 for auto
    channels: Count
    held_out: float


class Plan(TypedDict):
    """Where and how a run computes."""

    device: str
    precision: str
    channels_last: bool


class Budget(TypedDict):
    """One of the two is None."""

    steps: Count | None
    minutes: Seconds | None


class Rollback(TypedDict):
    """The step to which a finding took a run back."""

    kind: str
    step: Count
    to: Count
    seconds: Seconds


class HeldOut(TypedDict):
    """The items that a run does not train on."""

    split: str
    count: Count


class Data(TypedDict):
    """What a run trains on."""

    fingerprint: str
    count: Count
    shape: Shape
    class_names: list[str]
    unreadable: Count
    held_out: NotRequired[HeldOut | None]
    name: NotRequired[str]
    relative: NotRequired[str | None]  # the path from the run to the data
    meanings: NotRequired[str]  # a digest of the classes or words that the networks know by number


class Known(TypedDict):
    """What is kept of data that other data has replaced."""

    data: str
    fingerprint: str
    count: Count


Change = TypedDict("Change", {"step": Count, "from": Known, "to": Known})  # of the data, in the course of a run


class Record(TypedDict):
    """recipe.json."""

    ganvas: str
    torch: str
    python: str
    recipe: str
    options: Options
    resolved: NotRequired[Options]
    seed: Seed
    plan: Plan
    threads: NotRequired[Count]
    monitor: str | None
    on_collapse: str
    rollbacks: list[Rollback]
    budget: Budget
    data: Data
    data_changed: NotRequired[list[Change]]


class Found(TypedDict):
    """A finding of the monitor."""

    kind: str
    meaning: str
    advice: str


class Step(TypedDict):
    """What every line of log.jsonl holds."""

    step: Count
    seconds: Seconds
    images_per_second: float
    findings: NotRequired[list[Found]]


LOOK = ("monitor/diversity", "monitor/entropy")  # come with each monitor/distance


class Figure(TypedDict):
    """One figure of an evaluation."""

    value: float
    low: float
    high: float
    floor: float | None
    better: str
    meaning: str


class Metrics(TypedDict):
    """metrics.json."""

    figures: dict[str, Figure]
    protocol: dict[str, Any]
    warnings: list[str]
    findings: list[str]


class Versioned(TypedDict):
    """What even a newer ganvas writes into a file with a layout."""

    version: Count


class State(Versioned):
    """state.json of a checkpoint."""

    step: Count
    seconds: Seconds
    attempt: NotRequired[Count]
    sums: NotRequired[dict[str, Annotated[list[float], Len(2, 2)]]]
    optimisers: dict[str, Any]
    sha256: dict[str, str]


class Birth(TypedDict):
    """How a child came to be."""

    parents: Annotated[list[str], Len(1, 2)]
    seed: Seed
    mutation: Annotated[float, Ge(0), Lt(1.0000001)]
    crossover: str


class Lineage(TypedDict):
    """lineage.json of a litter."""

    children: list[str]
    individuals: dict[str, Birth]


class Outcome(TypedDict):
    """A run of a comparison."""

    objective: str
    seed: Seed
    seconds: Seconds
    failure: str
    findings: list[str]
    figures: dict[str, Figure]


class Comparison(TypedDict):
    """compare.json."""

    protocol: dict[str, Any]
    runs: list[Outcome]


Size = Annotated[list[Count], Len(2, 2)]


class Origin(TypedDict):
    """Where the items of a store come from."""

    place: str
    unreadable: list[Annotated[list[str], Len(2, 2)]]
    smallest: Size | None
    largest: Size | None
    notes: NotRequired[list[str]]
    levels: NotRequired[str]
    splits: NotRequired[list[Annotated[list[Any], Len(2, 2)]]]


class Modes(TypedDict):
    """The distribution of drawn points."""

    centres: list[list[float]]
    sigma: float


class Store(TypedDict):
    """meta.json of a data set that was saved."""

    format: Count
    name: str
    fingerprint: str
    class_names: list[str]
    captions: list[str] | None
    attributes: list[str]
    modes: Modes | None
    origin: Origin


def read_record(run: Path) -> dict[str, Any]:
    """recipe.json of a run directory; a RequestError where `run` is not one, or its record is damaged."""
    if not (run / files.RECORD).is_file():
        raise RequestError(f"{run} is not a run of ganvas: it has no {files.RECORD}", "give the directory of a run")
    return dict(files.read_json(run / files.RECORD, Record))


def read_log(run: Path) -> list[dict[str, Any]]:
    """The lines of log.jsonl of a run directory: a `Step` each, and a number for each further name."""
    lines = [dict(line) for line in files.read_lines(run / files.LOG, Step)]
    with files.reading(run / files.LOG):
        for line in lines:
            for name, value in line.items():
                if name != "findings" and (isinstance(value, bool) or not isinstance(value, int | float)):
                    raise ValueError(f"{name} is not a number")
            if "monitor/distance" in line and not all(name in line for name in LOOK):
                raise ValueError("monitor/distance without the other numbers of a look")
    return lines
