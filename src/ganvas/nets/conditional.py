"""Networks with labels: a class, or any number of keywords (Mirza and Osindero 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import unknown
from .blocks import Generator, arguments
from .dcgan import DCGANGenerator
from .mlp import MLPGenerator
from .residual import ResidualGenerator

WORDS = ("label", "latent")  # where a generator finds the words of an item
INNER: dict[str, type[Generator]] = {"mlp": MLPGenerator, "dcgan": DCGANGenerator, "residual": ResidualGenerator}


def as_weights(label: Tensor, words: int) -> Tensor:
    """Labels as (N, words) float32, 1 for each word of an item: of classes (N,) int64, or of keywords (N, words)."""
    return F.one_hot(label, words).float() if label.ndim == 1 else label.float()


class ConditionalGenerator(Generator):
    """z (N, latent) and label -> items (N, *shape).

    Any generator of INNER, whose latent is z and the label's embedding: the sum of one learned vector per word.
    A label is a class (N,) int64 where `keywords` is empty, else (N, len(keywords)), 1 for each keyword of an item.
    The default label is class 0, or no keyword.

    prompts: how many sets of keywords of the data the buffer `prompts` holds: what is drawn without a prompt.
    words: "label", or "latent": then a latent also holds a weight for each word, (N, latent + words), and there is no
        label. The prior draws the words of items of the data. Search, walks and breeding then move words, too.
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
            raise unknown("place of the words", words, WORDS, field="options.words")
        super().__init__(latent, shape, arguments(locals()))
        self.count = classes or len(keywords)
        self.embed = nn.Parameter(torch.randn(self.count, embedding))  # as large as z
        self.generator = INNER[net](**inner)
        self.register_buffer("prompts", torch.zeros(prompts, len(keywords), dtype=torch.uint8))

    @property
    def takes_label(self) -> bool:
        """Whether the words are a label, not a part of the latent."""
        return self.options["words"] == "label"

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """z ~ N(0, I), (n, latent); with the words in the latent (n, latent + words)."""
        z = super().prior(n, generator)
        if self.takes_label:
            return z
        sets = self.prompts if self.options["keywords"] else torch.arange(self.count)
        rows = torch.randint(len(sets), (n,), generator=generator, device=z.device)
        return torch.cat([z, as_weights(sets.to(z.device)[rows], self.count)], 1)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        if not self.takes_label:
            z, label = z.tensor_split([self.latent], 1)
        elif label is None:
            label = torch.zeros((len(z), self.count) if self.options["keywords"] else len(z), dtype=torch.int64)
        embedding = as_weights(label.to(z.device), self.count) @ self.embed
        return self.generator(torch.cat([z, embedding.to(z.dtype)], 1))


class EmbeddingCritic(nn.Module):
    """Items and labels -> logits (N,): the label's embedding is one more channel of the item.

    For points, (N, D), it is `embedding` more coordinates.
    """

    def __init__(self, critic: nn.Module, shape: tuple[int, ...], words: int, embedding: int = 32) -> None:
        """critic: takes items of shape `joined_shape(shape, embedding)`."""
        super().__init__()
        self.critic, self.words = critic, words
        self.plane = (1, *shape[1:]) if len(shape) == 3 else (embedding,)
        self.embed = nn.Linear(words, torch.Size(self.plane).numel(), bias=False)
        nn.init.normal_(self.embed.weight)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        embedding = self.embed(as_weights(label, self.words)).reshape(len(x), *self.plane)
        return self.critic(torch.cat([x, embedding.to(x.dtype)], 1))


def joined_shape(shape: tuple[int, ...], embedding: int = 32) -> tuple[int, ...]:
    """The shape of an item with its label's embedding, as `EmbeddingCritic` joins them."""
    return (shape[0] + 1, *shape[1:]) if len(shape) == 3 else (shape[0] + embedding,)


class ProjectionCritic(nn.Module):
    """Items and labels -> logits (N,), ψ(h) + yᵀV h (Miyato and Koyama 2018); `critic` gives ψ(h) and V h, 1 + words.

    With `classify`, V h are also the logits of a distribution over words, and follow: (N, 1 + words).
    """

    def __init__(self, critic: nn.Module, words: int, classify: bool = False) -> None:
        super().__init__()
        self.critic, self.words, self.classify = critic, words, classify

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        outputs = self.critic(x)
        projections = outputs[:, 1:]
        logits = outputs[:, 0] + (as_weights(label, self.words) * projections).sum(1)
        return torch.cat([logits[:, None], projections], 1) if self.classify else logits


class AuxiliaryClassifierCritic(nn.Module):
    """Items -> (N, 1 + words): a logit of being real, and the logits of a distribution over words (Odena et al. 2017).

    It does not see the label, which it has to predict. `critic` has 1 + words outputs.
    """

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return self.critic(x)
