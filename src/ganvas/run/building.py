"""What a run trains: its data, and its system before the first step."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import torch
import torch.distributed as dist

from .. import recipes
from ..data import Dataset, lasting
from ..errors import RequestError
from ..features import open_features
from ..loop import train
from ..monitor import MIN_ITEMS
from ..plan import Plan, computing
from ..types import System


def requested(recipe: str, given: Mapping[str, object], options: Mapping[str, object]) -> recipes.Training:
    """The options of a recipe: `options`, and over them what is `given` and not None. RequestError for a wrong one."""
    settings = {**options, **{key: value for key, value in given.items() if value is not None}}
    try:
        chosen = recipes.override(recipes.recipe(recipe), settings)
    except RequestError as error:
        name = error.field.removeprefix("options.")
        field = error.field if given.get(name) is None else name
        raise RequestError(error.problem, error.hint, field=field) from None
    return replace(chosen, data=lasting(chosen.data))


def assemble(options: recipes.Training, dataset: Dataset, plan: Plan, seed: int) -> System:
    """The system of a run before its first step: its weights are a function of the seed."""
    torch.manual_seed(seed)
    with computing(plan):
        return recipes.build(options, dataset, plan)


def trial(options: recipes.Training, dataset: Dataset, seed: int, plan: Plan) -> Iterator[object]:
    """The first steps under a plan, of weights that are thrown away: for timing."""
    system = assemble(options, dataset, plan, seed)
    return train(system, dataset, steps=sys.maxsize, batch=options.batch, seed=seed, accumulate=options.accumulate)


def first_record(
    recipe: str, chosen: recipes.Training, resolved: recipes.Training, plan: Plan, seed: int
) -> dict[str, Any]:
    """The part of `recipe.json` that stays: the request, and where it is computed and with what."""
    where = asdict(plan)
    return {
        "ganvas": version("ganvas"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "recipe": recipe,
        "options": recipes.to_json(chosen),
        "resolved": recipes.to_json(resolved),
        "seed": seed,
        "plan": where,
        "threads": where.pop("threads"),
    }


def watched(options: recipes.Training, dataset: Dataset, system: System) -> str | None:
    """The features in which the monitor looks at a run's samples; None where it does not."""
    if system.decoder is None or not options.monitor_every or len(dataset) < MIN_ITEMS:
        return None
    return open_features("auto", dataset=dataset).name


def refuse_many_processes() -> None:
    """A RequestError under torchrun: all the processes would write into one run directory."""
    world = dist.get_world_size() if dist.is_initialized() else int(os.environ.get("WORLD_SIZE") or 1)
    if world > 1:
        call = "call ganvas.loop.train in your own script, which averages gradients over the processes"
        problem = f"one process trains a run, and this is one of {world}"
        raise RequestError(problem, f"start ganvas without torchrun, or {call}")
