"""The variational autoencoder (Kingma and Welling 2014): a critic's network as encoder, a generator's as decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import entry
from .blocks import Autoencoder, Generator, arguments
from .dcgan import DCGANCritic, DCGANGenerator
from .mlp import MLPCritic, MLPGenerator


class VAE(Autoencoder):
    """Images (N, *shape) -> q(z|x), a Gaussian of (N, latent) -> images.

    `net` is one of PAIRS; `hidden`, or `width` and `max_width`, are its sizes. `out` is the decoder's last function, to
    [-1, 1]. `log_scale` is the logarithm of the likelihood's noise scale, its initial value if `learned`.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        net: str = "dcgan",
        latent: int = 64,
        hidden: tuple[int, ...] = (512, 512),
        width: int = 32,
        max_width: int = 512,
        activate: str = "relu",
        norm: bool = True,
        out: str = "tanh",
        log_scale: float = 0.0,
        learned: bool = False,
    ) -> None:
        super().__init__(shape, arguments(locals()))
        self.encoder, self.decoder = entry("network", net, PAIRS, field="options.net")(self.options)
        self.log_scale = nn.Parameter(torch.tensor(log_scale), requires_grad=learned)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """q(z|x): its mean μ and log σ², (N, latent) each."""
        mu, log_var = self.encoder(x).chunk(2, 1)
        return mu, log_var

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def as_generator(self) -> Generator:
        return self.decoder


def dcgan(o: dict[str, Any]) -> tuple[nn.Module, DCGANGenerator]:
    """Convolutions, for the sizes of `sizes.base_of`."""
    sizes = (o["width"], o["max_width"], o["activate"])
    encoder = DCGANCritic(o["shape"], *sizes, norm="batch" if o["norm"] else "none", outputs=2 * o["latent"])
    return encoder, DCGANGenerator(o["shape"], o["latent"], *sizes, o["norm"], o["out"])


def mlp(o: dict[str, Any]) -> tuple[nn.Module, MLPGenerator]:
    """Perceptrons, for images of any shape; the decoder's `hidden` layers are the encoder's in reverse."""
    hidden = tuple(o["hidden"])
    encoder = MLPCritic(o["shape"], hidden, o["activate"], outputs=2 * o["latent"])
    return encoder, MLPGenerator(o["shape"], o["latent"], hidden[::-1], o["activate"], o["norm"], o["out"])


Pair = tuple[nn.Module, DCGANGenerator | MLPGenerator]
PAIRS: dict[str, Callable[[dict[str, Any]], Pair]] = {"dcgan": dcgan, "mlp": mlp}
