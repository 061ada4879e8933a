"""What a run trains: its data, and its system before the first step."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from .. import recipes
from ..data import NAMES, Dataset, open_data
from ..errors import RequestError
from ..loop import train
from ..plan import Plan
from ..types import System

NAMED = 3  # of the files that cannot be read, in a warning

logger = logging.getLogger(__name__)


def requested(recipe: str, given: Mapping[str, object], options: Mapping[str, object]) -> recipes.Training:
    """The options of a recipe as they are asked for: `options`, and over them what is `given` and not None.

    Raises RequestError for a name or a value that is wrong.
    """
    settings = {**options, **{key: value for key, value in given.items() if value is not None}}
    chosen = recipes.override(recipes.recipe(recipe), settings)
    for name in ("batch", "accumulate", "steps"):
        if getattr(chosen, name) < 1:
            raise RequestError(f"{name}={getattr(chosen, name)} is not possible; give 1 or more")
    return replace(chosen, data=lasting(chosen.data))


def described(dataset: Dataset) -> dict[str, Any]:
    """What `recipe.json` tells of the data: enough to show it, and to know it again."""
    held_out = dataset.held_out
    return {
        "fingerprint": dataset.fingerprint,
        "count": len(dataset),
        "shape": dataset.shape,
        "class_names": dataset.class_names,
        "unreadable": len(dataset.origin.unreadable),
        "held_out": held_out and {"split": held_out.split, "count": len(held_out), "fingerprint": held_out.fingerprint},
    }


def open_items(options: recipes.Training, seed: int) -> Dataset:
    """The data set that the options ask for; warns of files in it that cannot be read."""
    dataset = open_data(
        options.data,
        size=options.size or None,
        channels=options.channels or None,
        seed=seed,
        hold_out=options.held_out,
    )
    if unreadable := dataset.origin.unreadable:
        names = ", ".join(file for file, _ in unreadable[:NAMED]) + (", ..." if len(unreadable) > NAMED else "")
        logger.warning("%d files of %s cannot be read and are left out: %s", len(unreadable), options.data, names)
    return dataset


def assemble(options: recipes.Training, dataset: Dataset, plan: Plan, seed: int) -> System:
    """The system of a run before its first step: its weights are a function of the seed."""
    torch.manual_seed(seed)
    return recipes.build(options, dataset, plan)


def trial(options: recipes.Training, dataset: Dataset, seed: int, plan: Plan) -> Iterator[object]:
    """The first steps under a plan, of weights that nothing keeps: for timing."""
    system = assemble(options, dataset, plan, seed)
    return train(system, dataset, steps=sys.maxsize, batch=options.batch, seed=seed, accumulate=options.accumulate)


def lasting(spec: str) -> str:
    """A data spec that means the same from any directory: paths are made absolute."""
    try:
        path = Path(spec).expanduser().resolve()
        return str(path) if spec and spec not in NAMES and path.exists() else spec
    except (OSError, RuntimeError):  # no such user, links in circles, a name too long: `open_data` says so
        return spec


def refuse_many_processes() -> None:
    """A RequestError under torchrun: the processes would write one run directory, each its own share of it."""
    world = dist.get_world_size() if dist.is_initialized() else int(os.environ.get("WORLD_SIZE") or 1)
    if world > 1:
        raise RequestError(
            f"a run is trained by one process, and this is one of {world}; start ganvas without torchrun, or call "
            "ganvas.loop.train in a script of your own, which averages gradients over the processes"
        )
