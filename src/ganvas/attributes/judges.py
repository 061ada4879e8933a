"""Judges: which value of each attribute pictures show. They have learnt from real pictures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..errors import RequestError
from ..frozen import Classifier, Clip

Scores = dict[str, Tensor]  # attribute -> the probability of each of its values, or its logarithm, (N, K)
LABEL = "{label}"


class Judge(Protocol):
    """Says which value of each attribute a picture shows; `values` names them."""

    @property
    def values(self) -> Mapping[str, Sequence[str]]: ...
    def log_scores(self, x: Tensor) -> Scores:
        """Images (N, C, H, W) in [-1, 1], on the judge's device -> log-probabilities (N, K) there; differentiable."""
        ...


@dataclass(frozen=True)
class Labeller:
    """A classifier whose logits are those of several attributes in turn, or of its classes as the attribute `class`."""

    classifier: Classifier
    values: Mapping[str, Sequence[str]]

    def log_scores(self, x: Tensor) -> Scores:
        parts = self.classifier.network(x).float().split([len(names) for names in self.values.values()], 1)
        return {name: part.log_softmax(1) for name, part in zip(self.values, parts, strict=True)}


@dataclass(frozen=True)
class Words:
    """CLIP, which chooses among the words of each attribute."""

    clip: Clip
    values: Mapping[str, Sequence[str]]
    template: str = "a photo of a {label}"

    @cached_property
    def texts(self) -> dict[str, Tensor]:
        """Attribute -> the embeddings of its words in the template, (K, dim)."""
        asked = {name: [self.template.replace(LABEL, word) for word in words] for name, words in self.values.items()}
        with torch.inference_mode(False):  # tensors of inference mode would block gradients
            return {name: self.clip.text(texts) for name, texts in asked.items()}

    def log_scores(self, x: Tensor) -> Scores:
        seen = self.clip.image(x)
        logits = {name: self.clip.network.logits(seen, texts) for name, texts in self.texts.items()}
        return {name: found.float().log_softmax(1) for name, found in logits.items()}


def probabilities(judge: Judge, x: Tensor, device: torch.device | str, batch: int = 256) -> Scores:
    """The probabilities of all values for any number of images, (N, K) an attribute, on the CPU."""
    with torch.inference_mode():
        parts = [judge.log_scores(part.to(device)) for part in x.split(batch)]
    return {name: torch.cat([part[name].exp().cpu() for part in parts]) for name in judge.values}


class JudgedSamples(NamedTuple):
    """Samples of a generator with their judge's probabilities."""

    z: Tensor  # (N, ...)
    labels: Tensor | None  # of a generator that takes labels
    scores: Scores

    def at(self, rows: Tensor) -> JudgedSamples:
        """Those of the rows."""
        labels = None if self.labels is None else self.labels[rows]
        return JudgedSamples(self.z[rows], labels, {name: p[rows] for name, p in self.scores.items()})


def parse_words(lists: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """'color=red,blue' or 'red,blue' -> attribute -> words. Raises RequestError where there are not two words each."""
    found: dict[str, tuple[str, ...]] = {}
    for i, text in enumerate(lists):
        name, equals, listed = text.partition("=")
        words = tuple(word.strip() for word in (listed if equals else text).split(",") if word.strip())
        if len(words) < 2 or len(set(words)) < len(words):
            hint = "give two different words or more, such as color=red,blue"
            raise RequestError(f"{text!r} leaves no choice", hint, field="words")
        found[name.strip() if equals else "words" if i == 0 else f"words-{i + 1}"] = words
    return found
