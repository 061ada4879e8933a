"""Where the weights of published networks are found, and how they are told apart.

A file is looked for in every folder of `GANVAS_WEIGHTS` (a list separated as PATH is), in the cache's `weights`
(`GANVAS_CACHE`, or ~/.cache/ganvas), and among those that come with ganvas.
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
    """The first of `files` (names, in order of preference) that lies in one of the folders."""
    return next((folder / file for file in files for folder in folders() if (folder / file).is_file()), None)


def find(kind: str, remedy: str, *files: str) -> Path:
    """The weights of `kind`; a RequestError with where was looked and the `remedy` where there are none."""
    path = locate(*files)
    if path is None:
        looked = ", ".join(map(str, folders()))
        raise RequestError(
            f"the weights of {kind} are not on this machine (looked for {' or '.join(files)} in {looked}); put them "
            f"there or set GANVAS_WEIGHTS to their folder: {remedy}"
        )
    return path


def digest(weights: Mapping[str, Tensor]) -> str:
    """What identifies weights, whatever file or precision they were stored in: 16 hexadecimal digits of a sha256."""
    sha = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().to("cpu", torch.float32) if tensor.is_floating_point() else tensor.detach().cpu()
        sha.update(f"{name}{tuple(tensor.shape)}".encode())
        sha.update(np.ascontiguousarray(values.numpy()).data)
    return sha.hexdigest()[:16]
