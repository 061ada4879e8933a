"""Memorisation: are samples nearer to the training items than new real items are?

For each sample the nearest training item is searched in the features and in pixels. The threshold of "too near" is the
1st percentile of the same distance of real items that are not in the training set: 1 % of them are nearer, and so are
1 % of the samples of a perfect generator. A test of the whole distribution of distances, such as the C_T of Meehan,
Chaudhuri & Dasgupta 2020 (arXiv 2004.05675), from whom the comparison is taken, also rejects generators that merely
avoid rare items, and misses one that copies now and then; copies are in the lower tail.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from .. import media, metrics
from ..nets.resize import resize
from .extraction import Extracted
from .sources import Items

QUERIES = 2000  # samples, and real items, whose nearest training items are searched
QUANTILE = 0.01
SHOWN, SIDE = 25, 256  # samples in the picture, and pixels of each


class Copies(NamedTuple):
    """How near the samples are to the training set."""

    near: Tensor  # (n,) bool, samples nearer than the quantile
    floor: float  # the share of real items that are as near
    threshold: float  # the quantile, in units of the features
    samples: Extracted  # those whose neighbours were searched
    nearest: tuple[Tensor, ...]  # for each space, (n,) rows of the training items
    distance: Tensor  # (n,) in the features

    @property
    def share(self) -> float:
        """The share of the samples that are that near."""
        return self.near.double().mean().item()

    def describe(self, count: int, features: str) -> str:
        """The protocol."""
        return (
            f"{len(self.near):,} samples nearer than {self.threshold:.4g} to one of {count:,} training items in "
            f"{features}: the {QUANTILE:.0%} quantile of the same distance of real items"
        )


def find_copies(train: Extracted, samples: Extracted, test: Extracted | None) -> Copies:
    """Find the training items nearest to samples, and to real items that are not among them.

    Without a test split the real items are training items, each compared with the others: exchangeable with new ones.
    """
    samples = samples.at(slice(QUERIES))
    distance, index = (found[:, 0] for found in metrics.nearest(samples.features, train.features))
    fresh = metrics.nearest((test or train).features[:QUERIES], train.features, k=1 if test else 2)[0][:, -1]
    threshold = fresh.quantile(QUANTILE, interpolation="lower").item()
    nearest = [index]
    if samples.pixels is not None and train.pixels is not None:
        nearest.append(metrics.nearest(samples.pixels, train.pixels)[1][:, 0])
    floor = (fresh <= threshold).double().mean().item()
    return Copies(distance <= threshold, floor, threshold, samples, tuple(nearest), distance)


def picture(found: Copies, train: Extracted) -> Image.Image:
    """The samples that are nearest to training images next to those, cell by cell, each reduced to SIDE pixels."""
    order = found.distance.argsort()[:SHOWN]
    shown = {"samples": _reduced(found.samples.items.at(order))}
    for space, nearest in zip(("features", "pixels"), found.nearest, strict=False):
        shown[f"nearest by {space}"] = _reduced(train.items.at(nearest[order]))
    return media.captioned(shown)


def _reduced(items: Items) -> Tensor:
    """Images (N, C, H, W), the longer side SIDE pixels at most, of which one is read at a time."""
    parts = []
    for i in range(len(items)):
        x = items[i : i + 1]
        height, width = (max(1, round(n * min(1, SIDE / max(x.shape[2:])))) for n in x.shape[2:])
        parts.append(resize(x, (height, width), "bilinear") if x.shape[2:] != (height, width) else x)
    return torch.cat(parts)
