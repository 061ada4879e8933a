"""CLIP's text tower: a causal transformer, read at the end of the text."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .vit import Block


class TextTransformer(nn.Module):
    """Tokens (N, T) int64, T up to `context` -> embeddings (N, outputs), of any length.

    The end of a text is its largest token. Tokens after it have no influence: attention only looks back, and the
    embedding is taken at the end (Radford et al. 2021, section 2.4).

    vocabulary: the number of tokens. mlp: hidden units of a block; 0 for four times the width. activation: of
    `vit.ACTIVATIONS`. outputs: of the linear projection at the end, which has no bias.
    """

    def __init__(
        self,
        vocabulary: int,
        context: int = 77,
        width: int = 512,
        layers: int = 12,
        heads: int = 8,
        mlp: int = 0,
        activation: str = "quick-gelu",
        epsilon: float = 1e-5,
        outputs: int = 512,
    ) -> None:
        super().__init__()
        self.dim = outputs
        self.embed = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(torch.randn(context, width) * 0.01)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.blocks = nn.Sequential(
            *(Block(width, heads, mlp or 4 * width, activation, epsilon, causal=True) for _ in range(layers))
        )
        self.norm = nn.LayerNorm(width, epsilon)
        self.projection = nn.Linear(width, outputs, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.blocks(self.embed(tokens) + self.position[: tokens.shape[1]])  # (N, T, width)
        end = tokens.argmax(1)
        return self.projection(self.norm(x[torch.arange(len(x), device=x.device), end]))
