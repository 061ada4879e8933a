"""A trained encoder and its decoder, together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import nets
from ..errors import RequestError
from .file import NetworkFile, write
from .generator import PIXELS, TrainedGenerator


@dataclass(frozen=True)
class Autoencoder:
    """A trained encoder with its decoder: images -> latents -> images."""

    network: nets.Autoencoder  # in eval mode, its weights fixed
    recipe: str
    facts: dict[str, Any] = field(default_factory=dict)  # JSON-able: what it was trained on, what was measured of it

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.network.parameters()).device

    @property
    def batch(self) -> int:
        """How many images are taken at a time: fewer of large ones, whose features need memory."""
        return max(1, min(64, PIXELS // math.prod(self.network.shape[1:])))

    def encode(self, x: Tensor, batch: int | None = None) -> Tensor:
        """Images (N, *shape) in [-1, 1] -> latents as its decoder's prior gives them, (N, ...) float32 on the CPU.

        Raises RequestError for images of another shape.
        """
        shape = self.network.shape
        if tuple(x.shape[1:]) != shape:
            raise RequestError(
                f"this {self.recipe!r} takes images of {'×'.join(map(str, shape))}, not of "
                f"{'×'.join(map(str, x.shape[1:]))}",
                "resize them first",
            )
        return self._each(self.network.encode, x, batch)

    def decode(self, z: Tensor, batch: int | None = None) -> Tensor:
        """Latents (N, ...) -> images (N, *shape) in [-1, 1], float32 on the CPU."""
        return self._each(self.network.decode, z, batch)

    def reconstruct(self, x: Tensor, batch: int | None = None) -> Tensor:
        """Images -> images, through their latents; as `encode`."""
        return self.decode(self.encode(x, batch), batch)

    @torch.inference_mode()
    def _each(self, network: Callable[[Tensor], Tensor], x: Tensor, batch: int | None) -> Tensor:
        return torch.cat([network(part.to(self.device)).float().cpu() for part in x.split(batch or self.batch)])

    def as_generator(self) -> TrainedGenerator:
        """Its decoder as a generator."""
        return TrainedGenerator(self.network.as_generator(), self.recipe)

    def write(self, path: str | Path) -> None:
        """Write the file atomically. Raises OSError where that fails; an older file then survives."""
        weights, spec = nets.to_spec(self.network, nets.AUTOENCODERS)
        write(path, weights, {"recipe": self.recipe, "facts": self.facts, "autoencoder": spec})


def copy_autoencoder(network: nets.Autoencoder, recipe: str, facts: dict[str, Any]) -> Autoencoder:
    """A fixed copy, on the same device, of an autoencoder in training."""
    weights, spec = nets.to_spec(network, nets.AUTOENCODERS)
    device = next(network.parameters()).device
    return Autoencoder(nets.from_spec(spec, weights, nets.AUTOENCODERS).to(device), recipe, facts)


def of_file(file: NetworkFile, device: str) -> Autoencoder:
    """The autoencoder of a file."""
    network = file.network("autoencoder", nets.AUTOENCODERS, device)
    return Autoencoder(network, file.header["recipe"], file.header["facts"])
