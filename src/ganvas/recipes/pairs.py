"""Pairs of images and captions, in the form in which towers take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .. import frozen, nets
from ..data import Dataset
from ..features.cached import Cache, key, looked
from ..plan import Plan
from ..tokens.text import cleaned
from ..types import Batch

BATCH = 100  # held-out images at a time


@dataclass(frozen=True)
class Pairs:
    """The pairs of a data set. What fixed towers make of them is computed once."""

    items: Dataset
    read: Tensor  # (N, ...) what the text tower takes of each caption
    meanings: Tensor  # (N,) int64, equal where captions are
    seen: Tensor | None  # (N, D) what a fixed image tower makes of each image, where there is one

    @property
    def captions(self) -> tuple[str, ...]:
        """One a pair."""
        return self.items.captions or ()

    @property
    def split(self) -> str:
        """Which part of the source it is."""
        return self.items.split

    def images(self, batch: Batch) -> Tensor:
        """What the image tower takes of the items of a batch."""
        return batch.x if self.seen is None else self.seen[batch.index.to(self.seen.device)]

    def texts(self, index: Tensor) -> Tensor:
        """What the text tower takes of these rows."""
        return self.read[index.to(self.read.device)]

    def meaning(self, index: Tensor) -> Tensor:
        """A number for each of these rows, equal where their captions are."""
        return self.meanings[index.to(self.meanings.device)]

    @torch.inference_mode()
    def embed(self, network: nets.Clip) -> tuple[Tensor, Tensor]:
        """All images and all captions as unit vectors, (N, dim) each, on the CPU."""
        parts = torch.arange(len(self.items)).split(BATCH)
        image = [network.image(self.images(self.items.at(rows))).cpu() for rows in parts]
        text = [network.text(self.texts(rows)).cpu() for rows in parts]
        return torch.cat(image), torch.cat(text)


def gather(items: Dataset, model: frozen.Clip, plan: Plan, gallery: int | None = None) -> Pairs:
    """The pairs of `items` for the towers of `model`; with a `gallery` so many whose captions differ, or for 0 all."""
    if gallery is not None:
        items = items.rows(torch.tensor(different(items.captions or (), gallery or len(items))))
    captions = list(items.captions or ())
    numbers: dict[str, int] = {}
    meanings = torch.tensor([numbers.setdefault(cleaned(caption), len(numbers)) for caption in captions])
    device = plan.device
    return Pairs(items.to(device), texts(captions, model).to(device), meanings.to(device), seen(items, model, plan))


def different(captions: Sequence[str], count: int) -> list[int]:
    """At most `count` rows, in an order drawn once for all, no two of which have the same caption."""
    found: dict[str, int] = {}
    order: list[int] = np.random.default_rng(0).permutation(len(captions)).tolist()
    for i in order:
        if len(found) < count:
            found.setdefault(cleaned(captions[i]), i)
    return list(found.values())


def texts(captions: Sequence[str], model: frozen.Clip) -> Tensor:
    """What the text tower takes: tokens, or what a fixed sentence encoder makes of each caption."""
    reader = model.reader
    if not isinstance(reader, frozen.Sentences):
        return reader(captions)
    keys = [key(caption.encode()) for caption in captions]
    return Cache(reader.hash).vectors(keys, lambda rows: reader([captions[i] for i in rows]), "reading captions")


def seen(items: Dataset, model: frozen.Clip, plan: Plan) -> Tensor | None:
    """What the fixed image tower makes of each image, on the device; None where the image tower trains."""
    eye, spec = model.eye, model.eye_spec
    if eye is None or spec is None:
        return None
    return looked(Cache(spec["hash"]), eye, items.items, plan, "looking at images").to(plan.device)
