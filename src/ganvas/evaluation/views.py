"""Items as the metrics see them: features, and what a classifier takes them for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..data import Dataset
from ..errors import WorkError
from ..features import Extractor, open_features
from ..metrics import measurable
from ..metrics.inputs import at_once
from .sources import Items, Watch

BATCH = 128  # items at most: with 28×28 images a CPU is slower with fewer and with more
STACKED = "stacked-mnist"  # each of whose channels is a digit for the classifier of mnist

Logits = Callable[[Tensor], Tensor | None]  # images (N, C, H, W) in [-1, 1] -> (N, classes)


class Classifier(NamedTuple):
    """What tells the classes of the data apart."""

    name: str
    hash: str
    classes: int
    logits: Logits


class Eyes(NamedTuple):
    """What items are looked at with."""

    extractor: Extractor
    classifier: Classifier | None = None
    logits: Logits | None = None  # for the inception score: of the feature network, or else of the classifier
    pixels: Extractor | None = None  # small pictures beside the features


@dataclass(frozen=True)
class View:
    """N items and what is seen of them, on the CPU."""

    items: Items
    features: Tensor  # (N, D) float32
    logits: Tensor | None = None  # (N, K)
    named: Tensor | None = None  # (N,) int64, the class that the classifier takes each for
    pixels: Tensor | None = None  # (N, P) float32

    def __len__(self) -> int:
        return len(self.features)

    def at(self, index: Tensor | slice) -> View:
        """Those of the index, in its order."""
        logits, named, pixels = (None if x is None else x[index] for x in (self.logits, self.named, self.pixels))
        return View(self.items.at(index), self.features[index], logits, named, pixels)


def look(items: Items, eyes: Eyes, watch: Watch, words: str) -> View:
    """Look at items batch by batch, so that features alone are held. `words` say on a progress bar what is done.

    Raises WorkError where an item is not finite, which a classifier would take for some class nonetheless.
    """
    features, logits, named, pixels = [], [], [], []
    for rows in watch(items.rows.split(min(BATCH, at_once(items.numbers))), words):
        x = items.take(rows)
        if not measurable(x):
            raise WorkError(f"a value of {words} is NaN, infinite or immense; look whether training diverged")
        features.append(eyes.extractor(x).cpu())
        scores = eyes.logits(x) if eyes.logits else None
        if scores is not None:
            logits.append(scores.cpu())
        if eyes.classifier:
            verdicts = scores if eyes.classifier.logits is eyes.logits else eyes.classifier.logits(x)
            assert verdicts is not None
            named.append(verdicts.argmax(1).cpu())
        if eyes.pixels:
            pixels.append(eyes.pixels(x).cpu())
    return View(items, torch.cat(features), *(torch.cat(parts) if parts else None for parts in (logits, named, pixels)))


def open_eyes(dataset: Dataset, features: str | Path, device: str) -> Eyes:
    """The feature network that was asked for, beside plain pixels where it is another."""
    extractor = open_features(features, dataset=dataset, device=device)
    plain = len(dataset.shape) == 1 or extractor.name == "pixels"
    pixels = None if plain else open_features("pixels", dataset=dataset, device=device)
    return Eyes(extractor, None, extractor.logits if extractor.classify else None, pixels)


def only_for(eyes: Eyes, metrics: Collection[str]) -> Eyes:
    """The eyes without what these metrics do not look at; a classifier that gives the inception score is told of."""
    scored = "is" in metrics and eyes.classifier is not None and eyes.classifier.logits is eyes.logits
    return Eyes(
        eyes.extractor,
        eyes.classifier if {"modes", "accuracy"}.intersection(metrics) or scored else None,
        eyes.logits if "is" in metrics else None,
        eyes.pixels if "copies" in metrics else None,
    )


def with_classifier(eyes: Eyes, dataset: Dataset, device: str) -> Eyes:
    """The same eyes with a network that tells the data's own classes apart, by their names, where there is one.

    Raises RequestError where the weights of the one that the data needs are missing.
    """
    classifier = _classifier(eyes, dataset, device)
    return eyes._replace(classifier=classifier, logits=eyes.logits or (classifier and classifier.logits))


def _classifier(eyes: Eyes, dataset: Dataset, device: str) -> Classifier | None:
    if len(dataset.shape) == 1 or not dataset.classes:
        return None
    if dataset.name == STACKED:
        digits = open_features("cnn-mnist", device=device)
        return Classifier(f"{digits.name} on each channel", digits.hash, dataset.classes, triples(digits))
    for network in (eyes.extractor, open_features("auto", dataset=dataset, device=device)):
        if network.classify and network.class_names == dataset.class_names:  # as many others would mean nothing
            own = network is eyes.extractor and eyes.logits
            return Classifier(network.name, network.hash, dataset.classes, own or network.logits)
    return None


def triples(digits: Extractor) -> Logits:
    """The logits (N, 1000) of three digits in the channels of an image, from a classifier of one digit.

    Log-probabilities of the channels are added, so that the largest is the number that the likeliest digits write.
    """

    def logits(x: Tensor) -> Tensor:
        scores = digits.logits(x.flatten(0, 1).unsqueeze(1))
        assert scores is not None
        a, b, c = scores.log_softmax(1).unflatten(0, (-1, 3)).unbind(1)  # (N, 10) each
        return (a[:, :, None, None] + b[:, None, :, None] + c[:, None, None, :]).flatten(1)

    return logits
