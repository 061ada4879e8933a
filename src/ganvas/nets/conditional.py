"""Networks that are told what to draw and what to judge: a class, or any number of keywords (Mirza & Osindero 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import unknown
from .blocks import Generator
from .dcgan import DCGANGenerator
from .mlp import MLPGenerator
from .residual import ResidualGenerator

WORDS = ("label", "latent")  # where a generator is told what to draw
INNER: dict[str, type[Generator]] = {"mlp": MLPGenerator, "dcgan": DCGANGenerator, "residual": ResidualGenerator}


def as_weights(label: Tensor, words: int) -> Tensor:
    """What a label names, (N, words) float32: one class (N,) int64, or keywords (N, words), 1 for each of an item's."""
    return F.one_hot(label, words).float() if label.ndim == 1 else label.float()


class ConditionalGenerator(Generator):
    """z (N, latent) and label -> items (N, *shape).

    Any generator of INNER, whose latent is z and beside it the label's embedding: the sum of one learned vector a word.
    A label is a class (N,) int64 where `keywords` is empty, else (N, len(keywords)), 1 for each keyword of an item.
    Without keywords, no label is class 0's; with them, none of them.

    prompts: how many sets of keywords the buffer `prompts` holds, drawn as the data's: what is drawn where nothing is
        asked for.
    words: where they are told. `latent`: no label is, and beside z a latent holds a weight for each word, (N, latent +
        words). Its prior draws those of items of the data. So they too can be searched, walked through and bred.
    """

    adjustable: ClassVar[tuple[str, ...]] = ("words",)

    prompts: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        latent: int,
        net: str,
        inner: dict[str, Any],
        classes: int = 0,
        keywords: Sequence[str] = (),
        embedding: int = 32,
        prompts: int = 0,
        words: str = "label",
    ) -> None:
        """inner: the options of INNER[net], whose latent is `latent + embedding`."""
        if words not in WORDS:
            raise unknown("place of the words", words, WORDS)
        options = {"net": net, "inner": inner, "classes": classes, "keywords": list(keywords), "embedding": embedding}
        super().__init__(latent, shape, {**options, "prompts": prompts, "words": words})
        self.count = classes or len(keywords)
        self.embed = nn.Parameter(torch.randn(self.count, embedding))  # as large as z
        self.generator = INNER[net](**inner)
        self.register_buffer("prompts", torch.zeros(prompts, len(keywords), dtype=torch.uint8))

    @property
    def told(self) -> bool:
        """Whether a label says what to draw."""
        return self.options["words"] == "label"

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """z ~ N(0, I), (n, latent); with the words in the latent (n, latent + words)."""
        z = super().prior(n, generator)
        if self.told:
            return z
        sets = self.prompts if self.options["keywords"] else torch.arange(self.count)
        rows = torch.randint(len(sets), (n,), generator=generator, device=z.device)
        return torch.cat([z, as_weights(sets.to(z.device)[rows], self.count)], 1)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        if not self.told:
            z, label = z.tensor_split([self.latent], 1)
        elif label is None:
            label = torch.zeros((len(z), self.count) if self.options["keywords"] else len(z), dtype=torch.int64)
        told = as_weights(label.to(z.device), self.count) @ self.embed
        return self.generator(torch.cat([z, told.to(z.dtype)], 1))


class EmbeddingCritic(nn.Module):
    """Items and labels -> logits (N,): the label's embedding lies beside the item, as one more channel of its size.

    For points, (N, D), it is `embedding` more coordinates.
    """

    def __init__(self, critic: nn.Module, shape: tuple[int, ...], words: int, embedding: int = 32) -> None:
        """critic: one of items with `beside(shape, embedding)`."""
        super().__init__()
        self.critic, self.words = critic, words
        self.plane = (1, *shape[1:]) if len(shape) == 3 else (embedding,)
        self.embed = nn.Linear(words, torch.Size(self.plane).numel(), bias=False)
        nn.init.normal_(self.embed.weight)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        told = self.embed(as_weights(label, self.words)).reshape(len(x), *self.plane)
        return self.critic(torch.cat([x, told.to(x.dtype)], 1))


def beside(shape: tuple[int, ...], embedding: int = 32) -> tuple[int, ...]:
    """The shape of an item with its label's embedding, as `EmbeddingCritic` joins them."""
    return (shape[0] + 1, *shape[1:]) if len(shape) == 3 else (shape[0] + embedding,)


class ProjectionCritic(nn.Module):
    """Items and labels -> logits (N,), ψ(h) + yᵀV h (Miyato & Koyama 2018); `critic` gives ψ(h) and V h, 1 + words.

    Where it `names`, V h are also the logits of a distribution over words, and follow: (N, 1 + words).
    """

    def __init__(self, critic: nn.Module, words: int, names: bool = False) -> None:
        super().__init__()
        self.critic, self.words, self.names = critic, words, names

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        outputs = self.critic(x)
        named = outputs[:, 1:]
        logits = outputs[:, 0] + (as_weights(label, self.words) * named).sum(1)
        return torch.cat([logits[:, None], named], 1) if self.names else logits


class AuxiliaryClassifierCritic(nn.Module):
    """Items -> (N, 1 + words): a logit of being real, and the logits of a distribution over words (Odena et al. 2017).

    It is not told the label, which it has to name.
    """

    def __init__(self, critic: nn.Module) -> None:
        """critic: one of 1 + words outputs."""
        super().__init__()
        self.critic = critic

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return self.critic(x)
