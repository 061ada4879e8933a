"""One architecture a file. A frozen network is its weights and the options that rebuild it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from ..errors import RequestError
from .blocks import Generator
from .cnn import CNN
from .dcgan import DCGANCritic, DCGANGenerator
from .mlp import MLPCritic, MLPGenerator
from .residual import ResidualCritic, ResidualGenerator

GENERATORS: dict[str, type[Generator]] = {
    "mlp": MLPGenerator,
    "dcgan": DCGANGenerator,
    "residual": ResidualGenerator,
}
CLASSIFIERS: dict[str, type[CNN]] = {"cnn": CNN}

__all__ = [
    "CLASSIFIERS",
    "CNN",
    "GENERATORS",
    "DCGANCritic",
    "DCGANGenerator",
    "Generator",
    "MLPCritic",
    "MLPGenerator",
    "ResidualCritic",
    "ResidualGenerator",
    "freeze",
    "thaw",
]


Network = TypeVar("Network", bound=nn.Module)


def freeze(network: Generator | CNN) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights, contiguous on the CPU, and the JSON-able spec from which `thaw` rebuilds the network."""
    known = {**GENERATORS, **CLASSIFIERS}
    name = next(name for name, kind in known.items() if type(network) is kind)
    weights = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    return weights, {"net": name, "options": network.options}


def thaw(spec: dict[str, Any], weights: Mapping[str, Tensor], known: Mapping[str, type[Network]]) -> Network:
    """The network of a frozen file, one of `known`, float32 and in eval mode, its weights fixed."""
    if spec.get("net") not in known:
        raise RequestError(f"a network of kind {spec.get('net')!r} is not known to this version; update ganvas")
    network = known[spec["net"]](**spec["options"])
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)
