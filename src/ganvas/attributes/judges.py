"""Who says what a picture shows. None of them has seen a generated one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..errors import RequestError
from ..frozen import Classifier, Clip

Scores = dict[str, Tensor]  # attribute -> the probability of each of its values, (N, K)
LABEL = "{label}"


class Judge(Protocol):
    """Images (N, C, H, W) in [-1, 1] -> scores; `values` names what the columns of each attribute stand for."""

    @property
    def values(self) -> dict[str, tuple[str, ...]]: ...
    def __call__(self, x: Tensor) -> Scores: ...


@dataclass(frozen=True)
class Labeller:
    """A classifier with one head an attribute: its logits are those of all heads, one behind the other."""

    classifier: Classifier  # its facts hold `heads`: attribute -> the names of its values

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(values) for name, values in self.classifier.facts["heads"].items()}

    def __call__(self, x: Tensor) -> Scores:
        sizes = [len(values) for values in self.values.values()]
        parts = self.classifier.logits(x).split(sizes, 1)
        return {name: part.softmax(1) for name, part in zip(self.values, parts, strict=True)}


@dataclass(frozen=True)
class Classes:
    """A classifier's own classes, as the one attribute `class`."""

    classifier: Classifier

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        return {"class": self.classifier.class_names}

    def __call__(self, x: Tensor) -> Scores:
        return {"class": self.classifier.probabilities(x)}


@dataclass(frozen=True)
class Words:
    """CLIP, asked which of some words suit a picture, once for each attribute."""

    clip: Clip
    values: dict[str, tuple[str, ...]]
    template: str = "a photo of a {label}"

    def __call__(self, x: Tensor) -> Scores:
        return {
            name: self.clip.probabilities(x, [self.template.replace(LABEL, word) for word in words])
            for name, words in self.values.items()
        }


def parse_words(lists: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """'color=red,blue' or 'red,blue' -> attribute -> words. Raises RequestError where there are not two words each."""
    found: dict[str, tuple[str, ...]] = {}
    for i, text in enumerate(lists):
        name, equals, listed = text.partition("=")
        words = tuple(word.strip() for word in (listed if equals else text).split(",") if word.strip())
        if len(words) < 2 or len(set(words)) < len(words):
            raise RequestError(f"--words {text!r}: give two different words or more, such as color=red,blue")
        found[name.strip() if equals else "words" if i == 0 else f"words-{i + 1}"] = words
    return found
