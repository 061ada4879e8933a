"""The codebook: vector quantisation (van den Oord et al. 2017, "Neural Discrete Representation Learning")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

MEMORY = 0.99  # of the running usage: a code that is no longer looked up has lost nine tenths of it after 230 steps


class Quantized(NamedTuple):
    """What a codebook makes of a grid of vectors."""

    z: Tensor  # (N, D, h, w) the codes' vectors, whose gradient goes straight through to what was quantised
    codes: Tensor  # (N, D, h, w) the same vectors, whose gradient goes to the codebook
    index: Tensor  # (N, h, w) int64: which codes they are


class VectorQuantizer(nn.Module):
    """Replaces each vector of a grid by the nearest of `n` codes. (N, D, h, w) -> `Quantized`

    `usage` is the running share that each code has of what is looked up while training; 0 throughout at the beginning.
    """

    usage: Tensor

    def __init__(self, n: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n, dim)
        nn.init.uniform_(self.embedding.weight, -1 / n, 1 / n)
        self.register_buffer("usage", torch.zeros(n))

    def forward(self, z: Tensor) -> Quantized:
        index = self.nearest(z)
        codes = self.vectors(index)
        return Quantized(z + (codes - z).detach(), codes, index)

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """argmin_k ‖z - e_k‖² of every vector of a grid, (N, D, h, w) -> (N, h, w) int64, in float32."""
        with torch.autocast(z.device.type, enabled=False):  # which would take near codes for one another
            e = self.embedding.weight.float()
            distance = e.square().sum(1) - 2 * z.float().movedim(1, -1) @ e.T  # but for ‖z‖², which is the same for all
        return distance.argmin(-1)

    def vectors(self, index: Tensor) -> Tensor:
        """The codes of a grid of numbers, (N, h, w) -> (N, D, h, w)."""
        return self.embedding(index).movedim(-1, 1)

    @torch.no_grad()
    def count(self, index: Tensor) -> Tensor:
        """How often each code occurs in a grid, (n,) float32; the running usage takes it in."""
        counts = tally(index, len(self.usage))
        self.usage.lerp_(counts / counts.sum(), 1 - MEMORY)
        return counts

    @torch.no_grad()
    def revive(self, z: Tensor, share: float) -> Tensor:
        """Moves every code of which the running usage is below `share`/n to a vector of the grid `z`, drawn at random.

        Nothing would ever move it again: only what is looked up has a gradient (Dhariwal et al. 2020, "Jukebox",
        section 3.1). Before the first step nothing has been used, so that training begins with codes that are outputs
        of the encoder. It draws from torch's global generator. Returns how many were moved, a scalar.
        """
        weight, n = self.embedding.weight, len(self.usage)
        outputs = z.movedim(1, -1).flatten(0, -2).to(weight.dtype)
        drawn = outputs[torch.randint(len(outputs), (n,), device=z.device)]
        dead = self.usage < share / n
        weight.copy_(torch.where(dead[:, None], drawn, weight))
        self.usage.masked_fill_(dead, 1 / n)
        return dead.sum()


def tally(index: Tensor, n: int) -> Tensor:
    """How often each of `n` codes occurs in a grid of their numbers, (n,) float32."""
    return torch.bincount(index.flatten(), minlength=n).float()


def perplexity(counts: Tensor) -> Tensor:
    """exp of the entropy of the codes' shares, of counts (n,): as many codes as would be if all were used alike."""
    shares = counts / counts.sum()
    return torch.special.entr(shares).sum().exp()
