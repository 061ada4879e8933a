"""Adversarial training with labels: a class or keywords that the generator has to draw and the critic to check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .. import alpha, objectives
from ..data import Dataset
from ..errors import RequestError
from ..nets import AuxiliaryClassifierCritic, ConditionalGenerator, EmbeddingCritic, ProjectionCritic
from ..nets.conditional import as_weights, joined_shape
from ..objectives.classification import classification_loss, misclassification_loss
from ..plan import Plan
from ..tokens import keywords
from ..types import Batch, Critic, Stats, System
from . import gan, presets
from .adversarial import AdversarialLoss
from .base import opt, refuse
from .gan_options import GAN

PROMPTS = 1024  # sets of keywords that a generator remembers
MIN_KEYWORDS = 2
RECOMMENDED: dict[str, Any] = vars(presets.gan())


@dataclass(frozen=True)
class Conditional(GAN):
    """Labels."""

    told: Literal["class", "keywords"] = opt("class", "what labels an item: its class, or the words of its caption")
    rule: Literal["projection", "embedding", "ac", "both", "source"] = opt(
        "projection",
        "how the critic checks labels: projection: they are part of its logit; embedding: it sees them next to the "
        "item; ac: it predicts those of real items (AC-GAN); both: projection and ac; source: ac, and it learns not to "
        "predict those of generated items",
    )
    rule_weight: float = opt(1.0, "ac, both, source: weight of the label prediction in the loss")
    embedding: int = opt(32, "size of the labels' embedding next to z, and for points next to the item", low=1)
    keywords: int = opt(256, "keywords: how many to know, the most frequent of the captions", low=MIN_KEYWORDS)
    keyword_dropout: float = opt(0.1, "keywords: share left out of each item's, so that a part of them is enough", 0, 1)

    def meanings(self, images: Dataset) -> Sequence[str]:
        names = label_names(self, images)
        return names if self.told == "class" else (*names, str(min(PROMPTS, len(images))))  # which it remembers


def cgan() -> Conditional:
    """A class-conditional GAN (Mirza and Osindero 2014; course slides "Epoch 2"): both networks see the label.

    Otherwise as `gan`. The critic projects the class (Miyato and Koyama 2018) and predicts it with a small weight:
    prediction alone makes the items of a class alike, projection alone mistakes one in eight (docs/conditional.md).
    rule=embedding is the first published way, rule=ac the auxiliary classifier's (Odena et al. 2017).
    """
    return Conditional(**{**RECOMMENDED, "data": "fashion-mnist", "rule": "both", "rule_weight": 0.2})


def prompt_gan() -> Conditional:
    """A GAN of keyword-labelled images (course material, "Prompts"): a prompt is a set of keywords.

    The keywords are the words of the captions. The course minimises the critic's accuracy on generated images, which
    has no lower bound; rule=source uses a bounded form. Scenes of several shapes take long, and a critic memorises ten
    thousand of them unless they are moved; where words mean absolute places, such as "at the left", use augment=none.
    """
    options = Conditional(**{**RECOMMENDED, "data": "shapes", "told": "keywords", "rule": "both"})
    moved = replace(options, augment="diffaugment", augment_policy="translation")
    return replace(moved, steps=20_000, sample_every=1000, decay=-1)


class LabelledCritic:
    """A critic with the labels of one batch. It keeps its predictions of labels, in the order of its calls."""

    def __init__(self, critic: Callable[..., Tensor], labels: Tensor) -> None:
        self.critic, self.labels = critic, labels  # (N, K)
        self.predictions: list[Tensor] = []  # (n, K) each

    def __call__(self, x: Tensor) -> Tensor:
        """The logits (n,) of one or more batches, one after the other."""
        outputs = self.critic(x, self.labels.repeat(len(x) // len(self.labels), 1))
        if outputs.ndim == 1:
            return outputs
        self.predictions.append(outputs[:, 1:])
        return outputs[:, 0]


class ConditionalLoss(AdversarialLoss):
    """The losses over labelled items. Fakes are drawn with the labels of the real items of their batch.

    marks: (items, K) uint8, the keywords of each item, where they are its labels.
    """

    def __init__(
        self, o: Conditional, generator: ConditionalGenerator, critic: nn.Module, items: int, marks: Tensor | None
    ) -> None:
        super().__init__(o, generator, critic, items)
        self.rule, self.weight, self.dropout, self.count = o.rule, o.rule_weight, o.keyword_dropout, generator.count
        self.marks = marks
        self.labels = torch.empty(0)  # (N, K) of the batch for which fakes were drawn last

    def labels_of(self, batch: Batch) -> Tensor:
        """(N, K) float32, 1 for each word of an item; of keywords a random share is left out."""
        if self.marks is None:
            assert batch.label is not None
            return as_weights(batch.label, self.count)
        labels = self.marks[batch.index].to(batch.x.device).float()
        return labels * (torch.rand_like(labels) >= self.dropout)

    def draw_fakes(self, batch: Batch) -> Tensor:
        self.labels = self.labels_of(batch)
        return self.generator(self.generator.prior(len(batch.x)), self.labels)

    def critic_for(self, batch: Batch) -> LabelledCritic:
        return LabelledCritic(super().critic_for(batch), self.labels)

    def extra_critic_loss(self, critic: Critic, batch: Batch) -> tuple[Tensor | float, Stats]:
        assert isinstance(critic, LabelledCritic)
        if not critic.predictions:
            return 0.0, {}
        real, fake = torch.cat(critic.predictions).chunk(2)
        loss = classification_loss(real, self.labels).mean()
        if self.rule == "source":
            loss = loss + misclassification_loss(fake, self.labels).mean()
        return self.weight * loss, {"critic/words_real": self.share(real), "critic/words_fake": self.share(fake)}

    def extra_generator_loss(self, critic: Critic) -> Tensor | float:
        assert isinstance(critic, LabelledCritic)
        return sum(self.weight * classification_loss(words, self.labels).mean() for words in critic.predictions)

    def share(self, prediction: Tensor) -> Tensor:
        """The mean probability of an item's own labels."""
        return (prediction.detach().float().softmax(1) * self.labels).sum(1).mean()


def resolve(o: Conditional, shape: tuple[int, ...], device: str = "cpu") -> Conditional:
    """As of the adversarial recipes; refuses what has no meaning with labels."""
    resolved = gan.resolve(o, shape, device)
    assert isinstance(resolved, Conditional)
    energy = objectives.objective(o.objective).energy
    refuse(
        (energy, "objective", f"{o.objective!r} reconstructs items and cannot check labels", "choose another"),
        (o.pack > 1, "pack", f"{o.pack} would mix items of different labels", "use pack=1"),
    )
    return resolved


def label_names(o: Conditional, images: Dataset) -> tuple[str, ...]:
    """The classes or keywords of the data; a RequestError where it has none."""
    if o.told == "class":
        if images.classes < 2 or images.labels is None:
            hint = "sort the images into one folder per class, or add a labels.csv"
            raise RequestError(f"{images.name} has no classes", hint, field="data")
        return images.class_names
    found = keywords.keywords_of(images.captions or (), o.keywords)
    if len(found) < MIN_KEYWORDS:
        problem = f"{images.name} has no captions with keywords"
        raise RequestError(problem, "add a captions.jsonl, or use told=class", field="data")
    return found


def build_critic(o: Conditional, shape: tuple[int, ...], count: int) -> nn.Module:
    """The critic of items of a shape with `count` labels, as `rule` says."""
    seen = alpha.seen(shape)
    if o.rule == "embedding":
        joined = joined_shape(seen, o.embedding)
        critic = gan.NETS[o.net](o, joined, joined, 1)[1]
        return EmbeddingCritic(critic, seen, count, o.embedding)
    critic = gan.NETS[o.net](o, shape, seen, 1 + count)[1]
    if o.rule in ("projection", "both"):
        return ProjectionCritic(critic, count, o.rule == "both")
    return AuxiliaryClassifierCritic(critic)


def build_generator(
    o: Conditional, shape: tuple[int, ...], inner: dict[str, Any], known: Sequence[str], labels: Tensor | None
) -> ConditionalGenerator:
    """The generator around one with the options `inner`; it remembers some rows of keyword `labels`."""
    words = (len(known), ()) if labels is None else (0, known)
    prompts = 0 if labels is None else min(PROMPTS, len(labels))
    generator = ConditionalGenerator(shape, o.latent, o.net, inner, *words, o.embedding, prompts)
    if labels is not None:
        generator.prompts.copy_(labels[torch.randperm(len(labels))[: len(generator.prompts)]])
    return generator


def build(o: Conditional, images: Dataset, plan: Plan) -> System:
    """The networks, optimisers and losses of options, as `resolve` returns them, for labelled items."""
    known = label_names(o, images)
    labels = None if o.told == "class" else keywords.mark(images.captions or (), known)
    wider, shape = replace(o, latent=o.latent + o.embedding), images.shape
    inner = gan.NETS[o.net](wider, shape, shape, 1)[0]
    critic = build_critic(o, images.shape, len(known))
    generator = build_generator(o, images.shape, inner.options, known, labels)
    return gan.assemble(ConditionalLoss(o, generator, critic, len(images), labels), images, plan)
