"""Adversarial training with words: a class or keywords that the generator has to draw and the critic to check."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from .. import objectives
from ..data import Dataset
from ..errors import RequestError
from ..nets import AuxiliaryClassifierCritic, ConditionalGenerator, EmbeddingCritic, ProjectionCritic
from ..nets.conditional import as_weights, beside
from ..plan import Plan
from ..tokens import keywords
from ..types import Batch, Critic, Schedule, Stats, System
from . import gan
from .adversarial import AdversarialLoss
from .base import opt

PROMPTS = 1024  # sets of keywords that a generator remembers
LEAST_KEYWORDS = 2


@dataclass(frozen=True)
class Conditional(gan.GAN):
    """Options of the adversarial recipes with labels."""

    told: Literal["class", "keywords"] = opt("class", "what an item is labelled by: its class, or its caption's words")
    rule: Literal["projection", "embedding", "ac", "both", "source"] = opt(
        "projection",
        "how the critic checks the words: projection: by a logit that they are part of; embedding: it sees them beside "
        "the item; ac: it names those of real items (AC-GAN); both: projection and ac; source: ac, and it avoids those "
        "of generated ones",
    )
    rule_weight: float = opt(1.0, "ac, both, source: weight of naming words, beside the game")
    embedding: int = opt(32, "size of the words' embedding beside z, and for points beside the item", low=1)
    keywords: int = opt(256, "keywords: most that are known, the most frequent of the captions", low=LEAST_KEYWORDS)
    keyword_dropout: float = opt(0.1, "keywords: share left out of each item's, so that a part of them is enough", 0, 1)


def cgan() -> Conditional:
    """A class-conditional GAN (source 004): both networks see the label.

    As `gan` otherwise. The critic projects the class and names it a little: naming alone makes the items of a class
    alike, projection alone mistakes one in eight (docs/conditional.md). rule=embedding is the first published way
    (Mirza & Osindero 2014), rule=ac the auxiliary classifier's (Odena et al. 2017).
    """
    return Conditional(data="fashion-mnist", rule="both", rule_weight=0.2, **MEASURED)


def prompt_gan() -> Conditional:
    """A GAN of keyword-labelled images (source 000, "Prompts"): a prompt is a set of keywords.

    The keywords are the words of the captions. Where the source has the critic's accuracy on generated images itself,
    which can be lowered without end, `objectives.keywords_avoided` is its bounded form. Scenes of several shapes take
    long, and a critic learns ten thousand of them by heart where it sees them unmoved; where words tell absolute
    places, such as "at the left", augment=none.
    """
    options = Conditional(data="shapes", told="keywords", rule="both", **MEASURED)
    moved = replace(options, augment="diffaugment", augment_policy="translation")
    return replace(moved, steps=20_000, sample_every=1000, decay=-1)


# Those of presets.gan.
MEASURED = {
    "width": 0,
    "critic_norm": "none",
    "minibatch_stddev": True,
    "penalty": "r1:1",
    "penalty_every": 16,
    "batch": 32,
    "lr": 1e-3,
    "ema": 0.999,
    "steps": 2500,
    "sample_every": 500,
}


class Judge:
    """A critic of one batch's words. It keeps what it says of words, in the order in which it is asked."""

    def __init__(self, critic: nn.Module, words: Tensor) -> None:
        self.critic, self.words = critic, words  # (N, K)
        self.named: list[Tensor] = []  # (n, K) each

    def __call__(self, x: Tensor) -> Tensor:
        """The logits (n,) of one or more batches, one after the other."""
        outputs = self.critic(x, self.words.repeat(len(x) // len(self.words), 1))
        if outputs.ndim == 1:
            return outputs
        self.named.append(outputs[:, 1:])
        return outputs[:, 0]


class ConditionalLoss(AdversarialLoss):
    """A game of whose items the words are known. Fakes are drawn with the words of the real items of their batch."""

    def __init__(
        self, options: Conditional, generator: ConditionalGenerator, critic: nn.Module, turns: tuple[Schedule, Schedule]
    ) -> None:
        super().__init__(options, generator, critic, *turns)
        self.rule, self.weight = options.rule, options.rule_weight
        self.dropout = options.keyword_dropout
        self.count = generator.count
        self.marks: Tensor | None = None  # (items, K) uint8, where items are labelled by keywords
        self.words = torch.empty(0)  # (N, K) of the batch for which fakes were drawn last

    def words_of(self, batch: Batch) -> Tensor:
        """(N, K) float32, 1 for each word of an item; of keywords a random share is left out."""
        if self.marks is None:
            assert batch.label is not None
            return as_weights(batch.label, self.count)
        words = self.marks[batch.index].to(batch.x.device).float()
        return words * (torch.rand_like(words) >= self.dropout)

    def draw(self, batch: Batch) -> Tensor:
        self.words = self.words_of(batch)
        return self.generator(self.generator.prior(len(batch.x)), self.words)

    def judge(self, batch: Batch) -> Judge:
        return Judge(self.critic, self.words)

    def critic_words(self, judge: Critic, batch: Batch) -> tuple[Tensor | float, Stats]:
        assert isinstance(judge, Judge)
        if not judge.named:
            return 0.0, {}
        real, fake = torch.cat(judge.named).chunk(2)
        loss = objectives.keywords_matched(real, self.words).mean()
        if self.rule == "source":
            loss = loss + objectives.keywords_avoided(fake, self.words).mean()
        return self.weight * loss, {"critic/words_real": self.share(real), "critic/words_fake": self.share(fake)}

    def generator_words(self, judge: Critic, batch: Batch) -> tuple[Tensor | float, Stats]:
        assert isinstance(judge, Judge)
        if not judge.named:
            return 0.0, {}
        return self.weight * objectives.keywords_matched(judge.named[0], self.words).mean(), {}

    def share(self, named: Tensor) -> Tensor:
        """How much of the distribution over words lies on those of the items, on average."""
        return (named.detach().float().softmax(1) * self.words).sum(1).mean()


def resolve(o: Conditional, shape: tuple[int, ...], device: str = "cpu") -> Conditional:
    """As of the adversarial recipes; refuses what has no meaning with words."""
    resolved = gan.resolve(o, shape, device)
    assert isinstance(resolved, Conditional)
    refusals = {
        f"objective {o.objective!r} rebuilds items and names no words; choose another": objectives.objective(
            o.objective
        ).energy,
        f"pack={o.pack} judges items of different words together; use pack=1": o.pack > 1,
    }
    for reason, wrong in refusals.items():
        if wrong:
            raise RequestError(reason)
    return resolved


def words(o: Conditional, images: Dataset) -> tuple[str, ...]:
    """The words that items are labelled by; a RequestError where they have none."""
    if o.told == "class":
        if images.classes < 2 or images.labels is None:
            raise RequestError(
                f"{images.name} has no classes to draw; sort the images into a folder a class, or put a labels.csv "
                "beside them"
            )
        return images.class_names
    found = keywords.keywords_of(images.captions or (), o.keywords)
    if len(found) < LEAST_KEYWORDS:
        raise RequestError(
            f"{images.name} has no captions with keywords; put a captions.jsonl beside the images, or use told=class"
        )
    return found


def build(options: Conditional, images: Dataset, plan: Plan) -> System:
    """The networks, optimisers and losses of `options` for labelled items."""
    o = resolve(options, images.shape, plan.device)
    known = words(o, images)
    shape = beside(images.shape, o.embedding) if o.rule == "embedding" else images.shape
    inner = gan.NETS[o.net](replace(o, latent=o.latent + o.embedding), images.shape, 1)[0]
    critic = gan.NETS[o.net](o, shape, 1 if o.rule == "embedding" else 1 + len(known))[1]
    critic = {
        "embedding": lambda: EmbeddingCritic(critic, images.shape, len(known), o.embedding),
        "projection": lambda: ProjectionCritic(critic, len(known)),
        "both": lambda: ProjectionCritic(critic, len(known), names=True),
    }.get(o.rule, lambda: AuxiliaryClassifierCritic(critic))()
    by_class = o.told == "class"
    marks = None if by_class else keywords.mark(images.captions or (), known)
    generator = ConditionalGenerator(
        images.shape,
        o.latent,
        o.net,
        inner.options,
        len(known) if by_class else 0,
        () if by_class else known,
        o.embedding,
        0 if marks is None else min(PROMPTS, len(marks)),
    )
    if marks is not None:
        generator.prompts.copy_(marks[torch.randperm(len(marks))[: len(generator.prompts)]])
    game = ConditionalLoss(o, generator, critic, gan.turns(o, len(images)))
    game.marks = marks
    return gan.assemble(game, images, plan)
