"""Checkpoints: everything that training remembers, in folders of safetensors and JSON that are whole or absent.

`step-000500/` holds `model.safetensors` (every tensor of every module of the system), `optim.safetensors` (the
optimisers' tensors by phase and parameter) and `state.json` (step, seconds, the optimisers' numbers, and the digests by
which damage is noticed). `best/` is a copy of the best of them, with its generator. No file holds code: reading a
checkpoint never runs any.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from .. import files, records
from ..errors import RequestError, WorkError
from ..frozen import TrainedGenerator
from ..types import System

VERSION = 1  # of the layout
KEPT = 2  # the newest checkpoints that stay
MODEL, OPTIMISERS, STATE = "model.safetensors", "optim.safetensors", "state.json"
BEST = "best"

logger = logging.getLogger(__name__)


class Saved(NamedTuple):
    """Where a checkpoint stands."""

    step: int = 0  # steps done
    seconds: float = 0.0  # of training until then, over every resume
    attempt: int = 0  # how often the run had been rolled back
    sums: Mapping[str, tuple[float, int]] = {}  # of each statistic since the last line of the log: (sum, steps)


def write(folder: Path, system: System, saved: Saved) -> None:
    """Write the checkpoint of a system into `folder`, next to the older ones, of which the newest stays.

    Raises OSError where the disk is full or `folder` cannot be written; the older checkpoints then survive.
    """
    tensors, numbers = optimiser_state(system)
    content = {MODEL: save(weights(system)), OPTIMISERS: save(tensors)}
    state: dict[str, Any] = {"version": VERSION, **saved._asdict(), "optimisers": numbers}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in (content | {STATE: plain(state)}).items()}
    content[STATE] = json.dumps(state | {"sha256": digests}, indent=1).encode()

    target = folder / f"step-{saved.step:06d}"
    with files.new_folder(target) as temporary:
        for name, data in content.items():
            (temporary / name).write_bytes(data)
        shutil.rmtree(target, ignore_errors=True)  # a damaged one, or of a run that went back further
    for old in steps(folder)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def keep_best(folder: Path, generator: TrainedGenerator) -> None:
    """Keep a copy of the newest checkpoint, with its generator, as the best. OSError where it cannot be written."""
    target = folder / BEST
    with files.new_folder(target) as temporary:
        shutil.copytree(steps(folder)[0], temporary, dirs_exist_ok=True)
        generator.write(temporary / files.GENERATOR)
        shutil.rmtree(target, ignore_errors=True)


def best_step(folder: Path) -> int | None:
    """The step of the best checkpoint; None where none has been kept."""
    try:
        return files.read_json(folder / BEST / STATE, records.State)["step"]
    except RequestError:
        return None


def restore(folder: Path, system: System, attempt: int = 0, origin: int = 0) -> Saved:
    """Load the newest undamaged checkpoint into a freshly built system; `Saved()` where there is none at all.

    `attempt` counts the rollbacks of the run, the last one to the step `origin`. Checkpoints of earlier attempts are
    removed; without one of this attempt, the run begins with the best, or for origin 0 afresh.

    Damaged checkpoints are named, and removed after an older one has been loaded. Raises WorkError where none can be
    loaded, where a file cannot be read now, and where a newer ganvas wrote one: then nothing is removed.
    """
    damaged: list[Path] = []
    obsolete: list[Path] = []
    for path in [*steps(folder), *([folder / BEST] if origin else [])]:
        try:
            state, model, optimisers = read(path)
        except (FileNotFoundError, ValueError, LookupError, RecursionError, SafetensorError) as error:
            logger.warning("the checkpoint %s is damaged (%s), so the one before it is used", path, error)
            damaged.append(path)
            continue
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise WorkError(f"cannot read {error.filename or path}: {reason}; fix that, then resume") from error
        if state.get("attempt", 0) < attempt and path.name != BEST:
            obsolete.append(path)
            continue
        try:
            load_weights(system, model)
            load_optimisers(system, optimisers, state["optimisers"])
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise WorkError(
                f"the checkpoint {path} does not fit the networks of this version of ganvas ({error}); "
                f"resume it with the version that {files.RECORD} names"
            ) from error
        discard([*damaged, *obsolete])
        return Saved(state["step"], state["seconds"], state.get("attempt", 0), state.get("sums", {}))
    if damaged:
        raise WorkError(f"no checkpoint in {folder} is whole; copy one back, or train again with `overwrite`")
    discard(obsolete)
    return Saved()


def discard(paths: list[Path]) -> None:
    """Remove checkpoints that would count among the newest."""
    for path in paths:
        if path.name != BEST:
            shutil.rmtree(path)


def steps(folder: Path) -> list[Path]:
    """The checkpoints of a folder, the newest first."""
    found = ((re.fullmatch(r"step-(\d+)", path.name), path) for path in folder.glob("step-*"))
    return [path for _, path in sorted(((int(name[1]), path) for name, path in found if name), reverse=True)]


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    """(state, model, optimisers) of a checkpoint.

    Raises what `restore` takes for damage, any other OSError where it cannot be read at the moment, and WorkError where
    a newer ganvas wrote it.
    """
    found = json.loads((path / STATE).read_bytes())
    if (layout := files.checked(found, records.Versioned)["version"]) > VERSION:
        raise WorkError(f"{path} is of a newer ganvas (layout {layout}); update ganvas to resume from it")
    state: dict[str, Any] = {**files.checked(found, records.State)}
    digests = state.pop("sha256")
    content = {STATE: plain(state), **{name: (path / name).read_bytes() for name in (MODEL, OPTIMISERS)}}
    for name, data in content.items():
        if hashlib.sha256(data).hexdigest() != digests[name]:
            raise ValueError(f"{name} is not what was written")
    return state, load(content[MODEL]), load(content[OPTIMISERS])


def plain(state: dict[str, Any]) -> bytes:
    """The one form of a state of which a digest is taken."""
    return json.dumps(state, sort_keys=True).encode()


def weights(system: System) -> dict[str, Tensor]:
    """Every parameter and buffer of a system as 'module.key', contiguous on the CPU."""
    return {
        f"{name}.{key}": value.detach().to("cpu", copy=True).contiguous()
        for name, module in system.modules.items()
        for key, value in module.state_dict().items()
    }


@torch.no_grad()
def load_weights(system: System, saved: dict[str, Tensor]) -> None:
    """Copy into the tensors that exist already: a new one's memory layout or alignment could change the arithmetic."""
    for name, module in system.modules.items():
        for key, value in module.state_dict().items():
            value.copy_(saved[f"{name}.{key}"])


def parameters(optimizer: Optimizer) -> list[tuple[Parameter, dict[str, Any]]]:
    """An optimiser's parameters, each with its group, in the order by which its state is numbered."""
    return [(p, group) for group in optimizer.param_groups for p in group["params"]]


def optimiser_state(system: System) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The optimisers' tensors as 'phase/parameter/key', and their numbers by phase, fit for JSON."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for phase in system.phases:
        scalars: dict[str, Any] = {}
        for i, (p, _) in enumerate(parameters(phase.optimizer)):
            for key, value in phase.optimizer.state[p].items():
                if isinstance(value, Tensor):
                    tensors[f"{phase.name}/{i}/{key}"] = value.detach().to("cpu", copy=True).contiguous()
                else:
                    scalars[f"{i}/{key}"] = value
        groups = [{k: v for k, v in group.items() if k != "params"} for group in phase.optimizer.param_groups]
        numbers[phase.name] = {"groups": groups, "scalars": scalars}
    return tensors, numbers


def load_optimisers(system: System, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Give the optimisers back what `optimiser_state` took, on the parameters' devices and in their memory layout."""
    for phase in system.phases:
        optimizer, params = phase.optimizer, parameters(phase.optimizer)
        optimizer.state.clear()
        for group, saved in zip(optimizer.param_groups, numbers[phase.name]["groups"], strict=True):
            group |= {key: tuple(value) if isinstance(value, list) else value for key, value in saved.items()}
        for key, value in numbers[phase.name]["scalars"].items():
            i, name = key.split("/", 1)
            optimizer.state[params[int(i)][0]][name] = value
        for key, value in tensors.items():
            owner, i, name = key.split("/", 2)
            if owner == phase.name:
                p, group = params[int(i)]
                optimizer.state[p][name] = like_its_parameter(name, value, p, group)


def like_its_parameter(name: str, value: Tensor, p: Parameter, group: dict[str, Any]) -> Tensor:
    """A saved tensor of an optimiser as the optimiser itself would have made it."""
    if name == "step":  # a count, which plain optimisers keep on the CPU and fused ones beside the weights
        return value.to(p.device if group.get("fused") or group.get("capturable") else "cpu", copy=True)
    if value.shape == p.shape:
        return torch.empty_like(p, dtype=value.dtype, requires_grad=False).copy_(value)
    return value.to(p.device, copy=True)
