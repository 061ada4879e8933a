"""The codebook: vector quantisation (van den Oord et al. 2017, "Neural Discrete Representation Learning")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

DECAY = 0.99  # of the running usage: a code that is not used any more loses nine tenths of it in 230 steps


class Quantized(NamedTuple):
    """A grid of vectors, quantised."""

    z: Tensor  # (N, D, h, w) the codes' vectors; the gradient goes straight through to the input
    codes: Tensor  # (N, D, h, w) the same vectors; the gradient goes to the codebook
    index: Tensor  # (N, h, w) int64, the codes' numbers


class VectorQuantizer(nn.Module):
    """Replaces each vector of a grid by the nearest of `n` codes. (N, D, h, w) -> `Quantized`

    `usage` is the running share of each code in training; at the beginning 0.
    """

    usage: Tensor

    def __init__(self, n: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n, dim)
        nn.init.uniform_(self.embedding.weight, -1 / n, 1 / n)
        self.register_buffer("usage", torch.zeros(n))

    def forward(self, z: Tensor) -> Quantized:
        index = self.nearest(z)
        codes = self.embedding(index).movedim(-1, 1)
        return Quantized(z + (codes - z).detach(), codes, index)

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """argmin_k ‖z - e_k‖² of every vector of a grid, (N, D, h, w) -> (N, h, w) int64, in float32."""
        with torch.autocast(z.device.type, enabled=False):  # which would confuse near codes
            e = self.embedding.weight.float()
            distance = e.square().sum(1) - 2 * z.float().movedim(1, -1) @ e.T  # without ‖z‖², which is the same for all
        return distance.argmin(-1)

    @torch.no_grad()
    def update_usage(self, index: Tensor) -> Tensor:
        """Updates the running usage by a grid of codes; returns how often each occurs, (n,) float32."""
        counts = count_codes(index, len(self.usage))
        self.usage.lerp_(counts / counts.sum(), 1 - DECAY)
        return counts

    @torch.no_grad()
    def revive(self, z: Tensor, share: float) -> Tensor:
        """Moves every code with a running usage below `share`/n to a random vector of the grid `z`.

        Unused codes have no gradient and would never move again (Dhariwal et al. 2020, "Jukebox", section 3.1). Before
        the first step all are unused, so that training begins with outputs of the encoder as codes. Draws from torch's
        global generator. Returns how many were moved, a scalar.
        """
        weight, n = self.embedding.weight, len(self.usage)
        outputs = z.movedim(1, -1).flatten(0, -2).to(weight.dtype)
        candidates = outputs[torch.randint(len(outputs), (n,), device=z.device)]
        dead = self.usage < share / n
        weight.copy_(torch.where(dead[:, None], candidates, weight))
        self.usage.masked_fill_(dead, 1 / n)
        return dead.sum()


def count_codes(index: Tensor, n: int) -> Tensor:
    """How often each of `n` codes occurs in a grid of their numbers, (n,) float32."""
    return torch.bincount(index.flatten(), minlength=n).float()


def perplexity(counts: Tensor) -> Tensor:
    """exp of the entropy of the codes' shares, from counts (n,): the equivalent number of equally used codes."""
    shares = counts / counts.sum()
    return torch.special.entr(shares).sum().exp()
