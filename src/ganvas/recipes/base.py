"""What the families share: common options, options from text, the placement of modules."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import torch
from PIL.Image import Image
from pydantic import BeforeValidator, TypeAdapter, ValidationError
from torch.nn import Module

from .. import data
from ..data import Dataset
from ..errors import RequestError, unknown
from ..loop import EMA
from ..plan import Plan
from ..sizes import parse_size
from ..types import Examination

Row = tuple[str, str, str, str]  # name, type, value, meaning
AS_SIZE = BeforeValidator(lambda value: str(parse_size(value) or "auto"))
AUTO_IS_0 = BeforeValidator(lambda value: 0 if value == "auto" else value)


def opt(default: Any, meaning: str, low: float = 0, high: float = math.inf) -> Any:
    """A documented option of a recipe: its default, its meaning, and the bounds of its numbers."""
    return field(default=default, metadata={"meaning": meaning, "bounds": (low, high)})


@dataclass(frozen=True)
class Training:
    """Data and training."""

    data: str = opt("digits", "the data set, where none is given")
    size: Annotated[str, AS_SIZE] = opt("auto", "pixels: 64, or 96x128 (width x height); auto: the data's own")
    channels: Annotated[int, AUTO_IS_0] = opt(0, "1 grey, 3 colour, 4 with transparency; 0: the data's own")
    levels: str = opt("auto", "black and white of 16-bit pictures: LOW:HIGH, full; auto: full, if half of it is used")
    truncated: Literal["skip", "keep"] = opt("skip", "pictures that lack their last bytes")
    image: str = opt("", "column of a table that holds the pictures; none: found")
    caption: str = opt("", "column of a table that holds the captions; none: found")
    batch: int = opt(64, "images in one forward pass", low=1, high=2**20)
    accumulate: int = opt(1, "forward passes whose gradients one step averages", low=1)
    steps: int = opt(2000, "training steps, where neither steps nor minutes are given", low=1)
    log_every: int = opt(50, "steps between two lines of the log")
    sample_every: int = opt(250, "steps between two sample grids")
    checkpoint_every: int = opt(500, "steps between two checkpoints")
    monitor_every: int = opt(250, "steps between two measurements of the samples by the monitor; 0: none")
    held_out: float = opt(0.0, "share of items to measure on alone, where there is no test split; 0: none", high=0.9)
    warmup: int = opt(0, "steps over which the learning rate rises from 0")
    decay: int = opt(0, "step by which the learning rate has fallen to a hundredth; -1: `steps`; 0: constant", -1)

    def reading(self, seed: int = 0) -> data.Options:
        """How the data set is opened."""
        return data.Options.of(asdict(self), seed)

    def meanings(self, images: Dataset) -> Sequence[str]:
        """The classes or words that the networks know by their number: other data must have the same."""
        return ()

    def lr_factor(self, step: int) -> float:
        """That of the learning rate at a step: linear warm-up, and a cosine to a hundredth at `decay`."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        fall = (1 + math.cos(math.pi * min(1.0, step / self.decay))) / 2 if self.decay else 1.0
        return rise * max(fall, 0.01)


Options = TypeVar("Options", bound=Training)


def override(options: Options, settings: Mapping[str, object]) -> Options:
    """`options` with `settings`, typed or as text ('1,2,3' is a tuple); a RequestError for a wrong key or value."""
    hints = get_type_hints(type(options), include_extras=True)
    changes: dict[str, object] = {}
    for key, value in settings.items():
        if key not in hints:
            raise unknown("option", key, hints, field=f"options.{key}")
        if isinstance(value, str) and get_origin(hints[key]) is tuple:
            value = tuple(part for part in value.replace(" ", "").split(",") if part)
        try:
            changes[key] = TypeAdapter(hints[key]).validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].lower()
            hint = f"the type is {type_text(get_type_hints(type(options))[key])}"
            raise RequestError(f"{value!r} is not possible: {reason}", hint, field=f"options.{key}") from None
    for f in fields(options):
        value, (low, high) = changes.get(f.name), f.metadata["bounds"]
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and not low <= number <= high:
                hint = f"give {low:,.10g} to {high:,.10g}" if high < math.inf else f"give {low:,.10g} or more"
                raise RequestError(f"{number:,.10g} is not possible", hint, field=f"options.{f.name}")
    return replace(options, **changes)


def refuse(*cases: tuple[bool, str, str, str]) -> None:
    """A RequestError for the first case (wrong, option, problem, hint) that is wrong."""
    for wrong, option, problem, hint in cases:
        if wrong:
            raise RequestError(problem, hint, field=f"options.{option}")


def type_text(hint: Any) -> str:
    """'int', or for a Literal the values it takes: 'adam|rmsprop'."""
    values = get_args(hint)
    if get_origin(hint) is tuple:
        return f"{values[0].__name__},…"
    return "|".join(map(str, values)) if values else hint.__name__


def describe(options: Training) -> list[Row]:
    """(name, type, value, meaning) of every option."""
    hints, rows = get_type_hints(type(options)), []
    for f in fields(options):
        value = getattr(options, f.name)
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        rows.append((f.name, type_text(hints[f.name]), text, f.metadata["meaning"]))
    return rows


def grouped(options: Training) -> dict[str, list[Row]]:
    """The rows of `describe`, under the first words of the class that adds each option."""
    groups: dict[str, list[Row]] = {}
    classes = type(options).__mro__[::-1]
    for row in describe(options):
        owner = next(c for c in classes if row[0] in getattr(c, "__dataclass_fields__", ()))
        groups.setdefault((owner.__doc__ or "").partition(".")[0], []).append(row)
    return groups


def averaged(model: Module, decay: float) -> tuple[Any, dict[str, Module], Callable[[], None] | None]:
    """A model's moving average, the module that holds it, and its update; with a decay of 0 the model itself."""
    if not decay:
        return model, {}, None
    average = EMA(model, copy.deepcopy(model), decay)
    return average.model, {"average": average}, average.update


def place(modules: Iterable[Module], plan: Plan) -> None:
    """Move modules to the plan's device, in its memory layout."""
    layout = torch.channels_last if plan.channels_last else torch.contiguous_format
    for module in modules:
        module.to(plan.device).to(memory_format=layout)  # pyright: ignore[reportCallIssue] - torch's stub forgets it


def refuse_points(shape: tuple[int, ...], family: str) -> None:
    """A RequestError for items of a family that learns from images."""
    if len(shape) != 3:
        problem = f"{family} needs images, not items of shape {tuple(shape)}"
        raise RequestError(problem, "choose other data, or the recipe points", field="data")


def held_out_of(images: Dataset) -> Dataset:
    """The items to measure on; a RequestError where there are none."""
    if images.held_out is None:
        problem = f"{images.name} has nothing held out to measure on"
        raise RequestError(problem, "use held_out=0.1", field="options.held_out")
    return images.held_out


def examination(picture: Image, figures: Mapping[str, float], held_out: Dataset) -> Examination:
    """A picture, and figures under the name of the split that they are measured on."""
    split = held_out.split.replace(" ", "_")
    return Examination(picture, {f"{split}/{name}": value for name, value in figures.items()})
