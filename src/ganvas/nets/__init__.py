"""One architecture a file. A network is stored as its weights and the options that rebuild it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .blocks import Autoencoder, Generator
from .clip import Clip
from .cnn import CNN
from .conditional import AuxiliaryClassifierCritic, ConditionalGenerator, EmbeddingCritic, ProjectionCritic
from .dcgan import DCGANCritic, DCGANGenerator
from .mlp import MLPCritic, MLPGenerator
from .mobilestylegan import MobileStyleGANGenerator
from .progan import ProGANGenerator
from .residual import ResidualCritic, ResidualGenerator
from .vae import VAE
from .vqgan import VQGAN, VQGANDecoder

GENERATORS: dict[str, type[Generator]] = {
    "mlp": MLPGenerator,
    "dcgan": DCGANGenerator,
    "residual": ResidualGenerator,
    "progan": ProGANGenerator,
    "mobilestylegan": MobileStyleGANGenerator,
    "conditional": ConditionalGenerator,
    "vqgan": VQGANDecoder,
}
CLASSIFIERS: dict[str, type[CNN]] = {"cnn": CNN}
AUTOENCODERS: dict[str, type[Autoencoder]] = {"vae": VAE, "vqgan": VQGAN}
CLIPS: dict[str, type[Clip]] = {"clip": Clip}

__all__ = ["AUTOENCODERS", "CLASSIFIERS", "CLIPS", "CNN", "GENERATORS", "VAE", "VQGAN", "Autoencoder"]
__all__ += ["AuxiliaryClassifierCritic", "Clip", "ConditionalGenerator", "DCGANCritic", "DCGANGenerator"]
__all__ += ["EmbeddingCritic", "Generator", "MLPCritic", "MLPGenerator", "MobileStyleGANGenerator", "ProGANGenerator"]
__all__ += ["ProjectionCritic", "ResidualCritic", "ResidualGenerator", "VQGANDecoder", "from_spec", "to_spec"]


Network = TypeVar("Network", bound=nn.Module)


def to_spec(
    network: Generator | Autoencoder | CNN | Clip, known: Mapping[str, type[nn.Module]]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights, contiguous on the CPU, and the JSON-able spec from which `from_spec` rebuilds the network."""
    name = next(name for name, kind in known.items() if type(network) is kind)
    weights = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    return weights, {"net": name, "options": network.options}


def from_spec(spec: dict[str, Any], weights: Mapping[str, Tensor], known: Mapping[str, type[Network]]) -> Network:
    """The network of a spec, one of `known`, float32 and in eval mode, its weights fixed.

    Raises ValueError where the spec describes another network than the weights are of, before memory is taken for it,
    and whatever a network raises for options that it cannot have.
    """
    with _Limit(sum(value.numel() for value in weights.values())):
        network = known[spec["net"]](**spec["options"])
    described, found = ({name: tuple(t.shape) for name, t in d.items()} for d in (network.state_dict(), weights))
    for name in sorted(described.keys() | found.keys()):
        if described.get(name) != found.get(name):
            raise ValueError(f"{name} is {found.get(name)} and by the options {described.get(name)}")
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


class _Limit(TorchFunctionMode):
    """Refuses tensors of more numbers than the making of a network with so many takes."""

    MAKERS: ClassVar = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye}

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.left = 8 * numbers + 2**20  # a weight may be made, drawn and scaled one after the other

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in self.MAKERS:
            sizes = args if args and isinstance(args[0], int) else (args or ((kwargs or {}).get("size", ()),))[0]
            self.left -= 64 + math.prod(size for size in sizes if isinstance(size, int))
            if self.left < 0:
                raise ValueError("the options describe a larger network than the weights are of")
        return func(*args, **(kwargs or {}))
