"""Published networks as files of ours: `ganvas.features.convert` writes them, the extractors open them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from .. import files
from ..errors import RequestError
from . import weights

Options = dict[str, Any]
Network = TypeVar("Network", bound=nn.Module)


def write(path: Path, options: Options, tensors: Mapping[str, Tensor]) -> None:
    """Write a network's weights, with the options that build it in the header. Raises OSError where that fails."""
    content = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    files.write(path, save(content, {"ganvas": json.dumps({"options": options})}))


def open_network(name: str, build: Callable[..., Network], device: str = "cpu") -> tuple[Network, str]:
    """The network of `name`.safetensors, its weights fixed, on `device`; and the hash of its weights.

    Raises RequestError, which says how to make it, where the file is missing, damaged or of another network.
    """
    remedy = f"`python -m ganvas.features.convert {name} FILE` makes them, and docs/features.md says of which file"
    path = weights.find(name, remedy, f"{name}.safetensors")
    try:
        with safe_open(path, "pt") as content:
            options = json.loads(content.metadata()["ganvas"])["options"]
            tensors = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118 - not a dict
        network = build(**options)
        network.load_state_dict(tensors)
    except Exception as error:  # damaged files raise whatever their readers meet first
        raise RequestError(f"{path} is not the weights of {name} ({error})", remedy) from error
    return network.eval().requires_grad_(False).to(device), weights.digest(tensors)
