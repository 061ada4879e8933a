"""One architecture a file. A frozen network is its weights and the options that rebuild it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from ..errors import RequestError
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

__all__ = [
    "AUTOENCODERS",
    "CLASSIFIERS",
    "CLIPS",
    "CNN",
    "GENERATORS",
    "VAE",
    "VQGAN",
    "Autoencoder",
    "AuxiliaryClassifierCritic",
    "Clip",
    "ConditionalGenerator",
    "DCGANCritic",
    "DCGANGenerator",
    "EmbeddingCritic",
    "Generator",
    "MLPCritic",
    "MLPGenerator",
    "MobileStyleGANGenerator",
    "ProGANGenerator",
    "ProjectionCritic",
    "ResidualCritic",
    "ResidualGenerator",
    "VQGANDecoder",
    "freeze",
    "thaw",
]


Network = TypeVar("Network", bound=nn.Module)


class Rebuildable(Protocol):
    """A module that its `options` rebuild: they go into the header of its frozen file, and are JSON-able."""

    options: dict[str, Any]

    def state_dict(self) -> dict[str, Any]: ...


def freeze(network: Rebuildable, known: Mapping[str, type[nn.Module]]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights, contiguous on the CPU, and the JSON-able spec from which `thaw` rebuilds the network."""
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
