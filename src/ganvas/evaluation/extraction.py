"""Items as the metrics take them: features, and the classes that a classifier sees in them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..data import Dataset
from ..errors import WorkError
from ..features import Extractor, open_features
from ..metrics import measurable
from ..metrics.inputs import at_once
from ..progress import Progress, Steps
from .sources import Items

BATCH = 128  # items at most: with 28×28 images a CPU is slower with fewer and with more
STACKED = "stacked-mnist"  # each of whose channels is a digit for the classifier of mnist


class Networks(NamedTuple):
    """The networks that items go through."""

    extractor: Extractor
    classifier: Extractor | None = None  # of the data's own classes
    scorer: Extractor | None = None  # for the inception score: the feature network, or else the classifier
    pixels: Extractor | None = None  # small pictures, in addition to the features


@dataclass(frozen=True)
class Extracted:
    """N items with their features, on the CPU."""

    items: Items
    features: Tensor  # (N, D) float32
    logits: Tensor | None = None  # (N, K)
    predicted: Tensor | None = None  # (N,) int64, the class that the classifier sees in each
    pixels: Tensor | None = None  # (N, P) float32

    def __len__(self) -> int:
        return len(self.features)

    def at(self, index: Tensor | slice) -> Extracted:
        """Those of the index, in its order."""
        rest = (None if x is None else x[index] for x in (self.logits, self.predicted, self.pixels))
        return Extracted(self.items.at(index), self.features[index], *rest)


def extract(items: Items, networks: Networks, what: str) -> Steps[Extracted]:
    """The features of items, batch by batch, so that no more than a batch of items is held.

    Raises WorkError where an item is not finite, in which a classifier would still see some class.
    """
    features, logits, predicted, pixels = [], [], [], []
    for rows in items.rows.split(min(BATCH, at_once(items.numbers))):
        yield Progress(f"looking at {what}", sum(map(len, features)), len(items))
        x = items.take(rows)
        if not measurable(x):
            raise WorkError(f"a value of {what} is NaN, infinite or immense; check whether training diverged")
        features.append(networks.extractor(x).cpu())
        scores = networks.scorer.logits(x) if networks.scorer else None
        if scores is not None:
            logits.append(scores.cpu())
        if networks.classifier:
            own = scores if networks.classifier is networks.scorer else networks.classifier.logits(x)
            assert own is not None
            predicted.append(own.argmax(1).cpu())
        if networks.pixels:
            pixels.append(networks.pixels(x).cpu())
    rest = (torch.cat(parts) if parts else None for parts in (logits, predicted, pixels))
    return Extracted(items, torch.cat(features), *rest)


def open_networks(dataset: Dataset, features: str | Path, device: str) -> Networks:
    """The feature network that was asked for, and plain pixels in addition to any other."""
    extractor = open_features(features, dataset=dataset, device=device)
    plain = len(dataset.shape) == 1 or extractor.name == "pixels"
    pixels = None if plain else open_features("pixels", dataset=dataset, device=device)
    return Networks(extractor, None, extractor if extractor.classify else None, pixels)


def needed_for(metrics: Collection[str], networks: Networks) -> Networks:
    """The networks that these metrics use; a classifier that gives the inception score stays, for the protocol."""
    scored = "is" in metrics and networks.classifier is networks.scorer
    return networks._replace(
        classifier=networks.classifier if {"modes", "accuracy"}.intersection(metrics) or scored else None,
        scorer=networks.scorer if "is" in metrics else None,
        pixels=networks.pixels if "copies" in metrics else None,
    )


def open_classifier(networks: Networks, dataset: Dataset, device: str) -> Extractor | None:
    """A classifier of the data's own classes, by their names, where there is one.

    Raises RequestError where the weights of the one that the data needs are missing.
    """
    if len(dataset.shape) == 1 or not dataset.classes:
        return None
    if dataset.name == STACKED:
        digits = open_features("cnn-mnist", device=device)
        return replace(digits, name=f"{digits.name} on each channel", classify=partial(stacked_logits, digits))
    for network in (networks.extractor, open_features("auto", dataset=dataset, device=device)):
        if network.classify and network.class_names == dataset.class_names:  # as many others would mean nothing
            return network
    return None


def stacked_logits(digits: Extractor, x: Tensor) -> Tensor:
    """The logits (N, 1000) of three digits in the channels of images, from a classifier of one digit.

    Log-probabilities of the channels are added, so that the largest is the number that the likeliest digits write.
    """
    scores = digits.logits(x.flatten(0, 1).unsqueeze(1))
    assert scores is not None
    a, b, c = scores.log_softmax(1).unflatten(0, (-1, 3)).unbind(1)  # (N, 10) each
    return (a[:, :, None, None] + b[:, None, :, None] + c[:, None, None, :]).flatten(1)
