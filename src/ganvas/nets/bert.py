"""BERT (Devlin et al. 2019) as a sentence encoder (Reimers and Gurevych 2019): the mean over a text's tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .vit import Attention

EPSILON = 1e-12  # of the layer norms


class PostNormBlock(nn.Module):
    """norm(x + attention x), then norm(x + mlp x), as in the original transformer. (N, T, width) -> the same"""

    def __init__(self, width: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.attention, self.attention_norm = Attention(width, heads), nn.LayerNorm(width, EPSILON)
        self.mlp = nn.Sequential(nn.Linear(width, mlp), nn.GELU(), nn.Linear(mlp, width))
        self.mlp_norm = nn.LayerNorm(width, EPSILON)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention_norm(x + self.attention(x, mask))
        return self.mlp_norm(x + self.mlp(x))


class Bert(nn.Module):
    """Tokens (N, T) int64, 0 for padding, T up to `context` -> unit vectors of sentences (N, width).

    vocabulary: the word pieces, in the order of their numbers.
    """

    def __init__(
        self, vocabulary: Sequence[str], context: int, width: int, layers: int, heads: int = 12, mlp: int = 1536
    ) -> None:
        super().__init__()
        self.pieces, self.context, self.dim = tuple(vocabulary), context, width
        self.embed = nn.Embedding(len(self.pieces), width)
        self.position = nn.Parameter(torch.randn(context, width) * 0.02)
        self.norm = nn.LayerNorm(width, EPSILON)
        self.blocks = nn.ModuleList(PostNormBlock(width, heads, mlp) for _ in range(layers))

    def forward(self, tokens: Tensor) -> Tensor:
        there = tokens > 0  # (N, T)
        x = self.norm(self.embed(tokens) + self.position[: tokens.shape[1]])
        for block in self.blocks:
            x = block(x, there[:, None, None])
        return F.normalize((x * there[:, :, None]).sum(1), dim=1)
