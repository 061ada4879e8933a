"""Where the weights of published networks are found, and what identifies them.

The folders of `GANVAS_WEIGHTS` (a list, separated like PATH), then `weights` in the cache (`GANVAS_CACHE`, or
~/.cache/ganvas), then those that come with ganvas.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import RequestError
from ..files import cache_directory

SHIPPED = Path(__file__).parents[1] / "weights"


def folders() -> list[Path]:
    """The folders that are searched, in order."""
    chosen = [Path(folder).expanduser() for folder in os.environ.get("GANVAS_WEIGHTS", "").split(os.pathsep) if folder]
    return [*chosen, cache_directory() / "weights", SHIPPED]


def locate(*files: str) -> Path | None:
    """The first of `files` (names, in order of preference) in one of the folders."""
    return next((folder / file for file in files for folder in folders() if (folder / file).is_file()), None)


def find(kind: str, remedy: str, *files: str) -> Path:
    """The weights of `kind`; without them a RequestError with the folders that were searched, and the `remedy`."""
    path = locate(*files)
    if path is None:
        looked = ", ".join(map(str, folders()))
        raise RequestError(
            f"the weights of {kind} are not on this machine (looked for {' or '.join(files)} in {looked})",
            f"put them there or set GANVAS_WEIGHTS to their folder: {remedy}",
        )
    return path


def digest(weights: Mapping[str, Tensor]) -> str:
    """What identifies weights, whatever their file and precision: 16 hexadecimal digits of a sha256."""
    sha = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().to("cpu", torch.float32) if tensor.is_floating_point() else tensor.detach().cpu()
        sha.update(f"{name}{tuple(tensor.shape)}".encode())
        sha.update(np.ascontiguousarray(values.numpy()).data)
    return sha.hexdigest()[:16]
