"""What the options of every family share, and how text becomes a typed option."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from ..errors import RequestError, unknown


def opt(default: Any, meaning: str, low: float = 0, high: float = math.inf) -> Any:
    """A documented option of a recipe: its default, what `ganvas recipes NAME` says of it, the bounds of numbers."""
    return field(default=default, metadata={"meaning": meaning, "bounds": (low, high)})


@dataclass(frozen=True)
class Training:
    """The options that every recipe has."""

    data: str = opt("digits", "the data set that is used where none is named")
    size: int = opt(0, "side of the square images, in pixels; 0: the data's own")
    channels: int = opt(0, "1 grey, 3 colour; 0: the data's own")
    batch: int = opt(64, "images in one forward pass", low=1)
    accumulate: int = opt(1, "forward passes whose gradients one step averages", low=1)
    steps: int = opt(2000, "training steps, where neither --steps nor --minutes is given", low=1)
    log_every: int = opt(50, "steps between two lines of the log")
    sample_every: int = opt(250, "steps between two sample grids")
    checkpoint_every: int = opt(500, "steps between two checkpoints")
    monitor_every: int = opt(250, "steps between two looks of the monitor at the samples; 0: none")
    held_out: float = opt(
        0.0, "share of the items to measure on and not train on, where the data has no test split; 0: none", high=0.9
    )


Options = TypeVar("Options", bound=Training)


def override(options: Options, settings: Mapping[str, object]) -> Options:
    """`options` with `settings`, typed or as text ('1,2,3' is a tuple); a RequestError for a wrong key or value."""
    hints = get_type_hints(type(options))
    changes: dict[str, object] = {}
    for key, value in settings.items():
        if key not in hints:
            raise unknown("option", key, hints)
        if isinstance(value, str) and get_origin(hints[key]) is tuple:
            value = tuple(part for part in value.replace(" ", "").split(",") if part)
        try:
            changes[key] = TypeAdapter(hints[key]).validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].lower()
            raise RequestError(f"--set {key}={value}: {reason}; it is of type {type_text(hints[key])}") from None
    for f in fields(options):
        check_bounds(f.name, changes.get(f.name), *f.metadata["bounds"])
    return replace(options, **changes)


def check_bounds(name: str, value: object, low: float, high: float) -> None:
    """A RequestError where a number, or one of a tuple's, is out of its bounds; anything else passes."""
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int | float) and not low <= number <= high:
            limit = f"between {low:g} and {high:g}" if high < math.inf else f"at least {low:g}"
            raise RequestError(f"--set {name}={number:g}: it must be {limit}")


def rate(warmup: int, decay: int) -> Callable[[int], float]:
    """The factor of the learning rate at a step: linear warm-up, and a cosine to a hundredth at `decay`; 0: neither."""

    def at(step: int) -> float:
        rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
        fall = (1 + math.cos(math.pi * min(1.0, step / decay))) / 2 if decay else 1.0
        return rise * max(fall, 0.01)

    return at


def type_text(hint: Any) -> str:
    """'int', or for a Literal the values it takes: 'adam|rmsprop'."""
    values = get_args(hint)
    if get_origin(hint) is tuple:
        return f"{values[0].__name__},…"
    return "|".join(map(str, values)) if values else hint.__name__


def describe(options: Training) -> list[tuple[str, str, str, str]]:
    """(name, type, value, meaning) of every option."""
    hints = get_type_hints(type(options))

    def row(name: str, meaning: str) -> tuple[str, str, str, str]:
        value = getattr(options, name)
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        return name, type_text(hints[name]), text, meaning

    return [row(f.name, f.metadata["meaning"]) for f in fields(options)]
