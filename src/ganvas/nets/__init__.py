"""One architecture a file. A frozen generator is its weights and the options that rebuild it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..errors import RequestError
from .blocks import Generator
from .dcgan import DCGANCritic, DCGANGenerator
from .mlp import MLPCritic, MLPGenerator
from .residual import ResidualCritic, ResidualGenerator

GENERATORS: dict[str, type[Generator]] = {
    "mlp": MLPGenerator,
    "dcgan": DCGANGenerator,
    "residual": ResidualGenerator,
}

__all__ = [
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


def freeze(decoder: Generator) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights, contiguous on the CPU, and the JSON-able spec from which `thaw` rebuilds the generator."""
    name = next(name for name, kind in GENERATORS.items() if type(decoder) is kind)
    weights = {key: value.detach().cpu().contiguous() for key, value in decoder.state_dict().items()}
    return weights, {"net": name, "options": decoder.options}


def thaw(spec: dict[str, Any], weights: dict[str, Tensor]) -> Generator:
    """The generator of a frozen file, in eval mode, its weights fixed."""
    if spec.get("net") not in GENERATORS:
        raise RequestError(f"a generator of kind {spec.get('net')!r} is not known to this version; update ganvas")
    generator = GENERATORS[spec["net"]](**spec["options"])
    generator.load_state_dict(weights)
    return generator.eval().requires_grad_(False)
