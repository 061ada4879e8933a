"""The file of a trained network: safetensors, whose header says what it holds and rebuilds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .. import files
from ..errors import RequestError

VERSION = 1
Header = dict[str, Any]


def write(path: str | Path, weights: dict[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write the file of a network atomically. Raises OSError where that fails."""
    files.write(Path(path), save(weights, {"ganvas": json.dumps({"version": VERSION, **header})}))


def read(file: Path) -> tuple[Header, dict[str, Tensor]]:
    """The header and the weights of a file; a RequestError where it is damaged, foreign, or of a newer ganvas."""
    try:
        with safe_open(file, "pt") as content:
            metadata = content.metadata() or {}
            weights = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise RequestError(f"{file} is not a readable safetensors file ({error}); copy or train it again") from error
    if "ganvas" not in metadata:
        raise RequestError(f"{file} is not a network of ganvas: its header says nothing of one")
    return json.loads(metadata["ganvas"]), weights
