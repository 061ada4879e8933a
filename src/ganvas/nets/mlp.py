"""Multilayer perceptrons: for small images, as the course begins with, and for points."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from .blocks import Generator, Head, Pack, activation, apply_spectral_norm, arguments, output


class MLPGenerator(Generator):
    """z (N, latent) -> items (N, *shape) through `hidden` layers, each Linear, BatchNorm1d if `norm`, activation."""

    def __init__(
        self,
        shape: tuple[int, ...],
        latent: int = 100,
        hidden: tuple[int, ...] = (256, 512, 1024),
        activate: str = "relu",
        norm: bool = False,
        out: str = "tanh",
    ) -> None:
        super().__init__(latent, shape, arguments(locals()))
        layers: list[nn.Module] = []
        for a, b in pairwise((latent, *hidden)):
            layers += [nn.Linear(a, b), *([nn.BatchNorm1d(b)] if norm else []), activation(activate)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden[-1], math.prod(shape)))
        self.out = output(out)

    def raw(self, z: Tensor) -> Tensor:
        """The items before the last function."""
        return self.layers(z.reshape(len(z), -1)).reshape(-1, *self.shape)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.out(self.raw(z))


class MLPCritic(nn.Module):
    """Items (N, *shape) -> logits (N,), or (N/pack,) with packing.

    `unit`: maps items to [0, 1] first, as is usual for generators that end in a sigmoid.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        hidden: tuple[int, ...] = (1024, 512, 256),
        activate: str = "relu",
        dropout: float = 0.0,
        spectral: bool = False,
        stddev: bool = False,
        discrimination: int = 0,
        pack: int = 1,
        outputs: int = 1,
        unit: bool = False,
    ) -> None:
        super().__init__()
        self.unit = unit
        layers: list[nn.Module] = [Pack(pack), nn.Flatten()]
        for a, b in pairwise((pack * math.prod(shape), *hidden)):
            layers += [nn.Linear(a, b), activation(activate), *([nn.Dropout(dropout)] if dropout else [])]
        self.layers = nn.Sequential(*layers, Head((hidden[-1],), outputs, stddev, discrimination))
        if spectral:
            apply_spectral_norm(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers((x + 1) / 2 if self.unit else x)
