"""Pairs of images and captions, as the inputs of towers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .. import frozen, nets
from ..data import Dataset
from ..features.cached import Cache, embedding, key
from ..plan import Plan
from ..progress import drain
from ..tokens.text import cleaned
from ..types import Batch

BATCH = 100  # held-out images at a time


@dataclass(frozen=True)
class Pairs:
    """The pairs of a data set, with the outputs of fixed towers, which are computed once."""

    items: Dataset
    texts: Tensor  # (N, ...) the text tower's input of each caption
    meanings: Tensor  # (N,) int64, equal where captions are
    features: Tensor | None  # (N, D) of a fixed image tower, where there is one

    def images(self, batch: Batch) -> Tensor:
        """The image tower's input of a batch."""
        return batch.x if self.features is None else self.features[batch.index.to(self.features.device)]

    def text(self, index: Tensor) -> Tensor:
        """The text tower's input of these rows."""
        return self.texts[index.to(self.texts.device)]

    @torch.inference_mode()
    def embed(self, network: nets.Clip) -> tuple[Tensor, Tensor]:
        """All images and all captions as unit vectors, (N, dim) each, on the CPU."""
        parts = torch.arange(len(self.items)).split(BATCH)
        image = [network.image(self.images(self.items.at(rows))).cpu() for rows in parts]
        text = [network.text(self.text(rows)).cpu() for rows in parts]
        return torch.cat(image), torch.cat(text)


def gather(items: Dataset, model: frozen.Clip, plan: Plan, gallery: int | None = None) -> Pairs:
    """The pairs of `items` for the towers of `model`; gallery: how many to keep, no two captions alike; 0: all."""
    if gallery is not None:
        items = items.rows(torch.tensor(different(items.captions or (), gallery or len(items))))
    captions = list(items.captions or ())
    numbers: dict[str, int] = {}
    meanings = torch.tensor([numbers.setdefault(cleaned(caption), len(numbers)) for caption in captions])
    device = plan.device
    read = read_captions(captions, model).to(device)
    return Pairs(items.to(device), read, meanings.to(device), image_features(items, model, plan))


def different(captions: Sequence[str], count: int) -> list[int]:
    """At most `count` rows with different captions, in a fixed random order."""
    found: dict[str, int] = {}
    order: list[int] = np.random.default_rng(0).permutation(len(captions)).tolist()
    for i in order:
        if len(found) < count:
            found.setdefault(cleaned(captions[i]), i)
    return list(found.values())


def read_captions(captions: Sequence[str], model: frozen.Clip) -> Tensor:
    """The text tower's input: tokens, or the vectors of a fixed sentence encoder."""
    reader = model.tokenizer
    if not isinstance(reader, frozen.Sentences):
        return reader(captions)
    keys = [key(caption.encode()) for caption in captions]
    return drain(Cache(reader.hash).vectors(keys, lambda rows: reader([captions[i] for i in rows]), "reading captions"))


def image_features(items: Dataset, model: frozen.Clip, plan: Plan) -> Tensor | None:
    """The fixed image tower's features, on the device; None where the image tower trains."""
    eye, spec = model.locked_tower, model.locked_spec
    if eye is None or spec is None:
        return None
    return drain(embedding(Cache(spec["hash"]), eye, items.items, plan)).to(plan.device)
