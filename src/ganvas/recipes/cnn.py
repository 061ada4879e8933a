"""The classifier: cross-entropy over labelled images, measured on held-out items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW

from .. import files, frozen, media
from ..augment import mirror, translate
from ..data import Dataset
from ..errors import RequestError
from ..nets import CNN as Network
from ..plan import Plan
from ..types import Batch, Examination, Phase, Stats, System
from .base import Training, examination, held_out_of, opt, place

BATCH = 500  # held-out images at a time


@dataclass(frozen=True)
class CNN(Training):
    """Classifier."""

    widths: tuple[int, ...] = opt((), "channels of the stages; none: 16, 32, 64, 128, … down to 4 pixels", 1)
    depth: int = opt(2, "convolutions of a stage", low=1)
    kernel: int = opt(3, "side of the kernels, in pixels", low=1)
    stride: int = opt(1, "stride of each stage's first convolution", low=1)
    padding: int = opt(-1, "pixels of zeros around the image; -1: as many as keep its size", low=-1)
    pooling: Literal["max", "average", "stride"] = opt("max", "what halves a stage; stride: its last convolution")
    hidden: int = opt(64, "features of the layer before the logits", low=1)
    activation: str = opt("relu", "after every layer but the last")
    norm: bool = opt(True, "batch normalisation")
    dropout: float = opt(0.3, "of the features", high=0.99)
    shift: int = opt(-1, "random shift of the images, in pixels at most; -1: a fourteenth of their side", low=-1)
    flip: bool = opt(False, "mirror half of the images; suits things, not writing")
    label_smoothing: float = opt(0.0, "share of the target spread over all classes", high=0.99)
    lr: float = opt(2e-3, "AdamW's learning rate")
    weight_decay: float = opt(0.02, "AdamW's weight decay")

    def meanings(self, images: Dataset) -> Sequence[str]:
        return images.class_names


def cnn() -> CNN:
    """A classifier (course slides "Epoch 2"): convolutions, max pooling, flatten, softmax.

    Metrics can use its features. Batch norm, dropout, small random shifts, and AdamW with a cosine schedule.
    """
    return CNN(held_out=0.2, batch=128, steps=3000, sample_every=500, warmup=100, decay=-1)


class ClassifierTask:
    """The loss of a classifier, its validation and its file."""

    def __init__(self, options: CNN, network: Network, images: Dataset, held_out: Dataset) -> None:
        """`options` as `resolve` returns them."""
        self.options, self.network, self.held_out = options, network, held_out
        self.class_names = images.class_names
        self.facts = {"data": images.name, "images": len(images)}

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        o = self.options
        assert batch.label is not None
        x = translate(batch.x, o.shift, o.shift, "replicate")
        logits = self.network(mirror(x) if o.flip else x).float()
        loss = F.cross_entropy(logits, batch.label, label_smoothing=o.label_smoothing)
        return loss, {"classifier/accuracy": (logits.argmax(1) == batch.label).float().mean()}

    def freeze(self) -> frozen.Classifier:
        return frozen.copy_classifier(self.network, self.class_names, self.facts)

    def examine(self) -> Examination:
        """The confusion matrix of the held-out items, their loss and accuracy."""
        counts, loss = confusion(self.freeze(), self.held_out)
        accuracy = counts.trace().item() / len(self.held_out)
        title = f"{len(self.held_out):,} images of {self.held_out.name} ({self.held_out.split}): {accuracy:.2%} right"
        picture = media.confusion(counts, self.class_names, title)
        return examination(picture, {"loss": loss, "accuracy": accuracy}, self.held_out)


def confusion(classifier: frozen.Classifier, images: Dataset) -> tuple[Tensor, float]:
    """The confusion matrix, (true, predicted) int64, and the mean cross-entropy in nats."""
    classes, loss = len(classifier.class_names), 0.0
    counts = torch.zeros(classes * classes, dtype=torch.int64)
    for rows in torch.arange(len(images)).split(BATCH):
        batch = images.at(rows)
        assert batch.label is not None
        label, logits = batch.label.cpu(), classifier.logits(batch.x, BATCH)
        counts += torch.bincount(label * classes + logits.argmax(1), minlength=classes * classes)
        loss += F.cross_entropy(logits, label, reduction="sum").item()
    return counts.reshape(classes, classes), loss / len(images)


def stage_widths(size: int) -> tuple[int, ...]:
    """The channels of convolutional stages from `size` pixels down to 4: 16, 32, 64, 128, …"""
    return tuple(min(16 << i, 128) for i in range(max(2, math.ceil(math.log2(size / 4)))))


def resolve(o: CNN, shape: tuple[int, ...], device: str = "cpu") -> CNN:
    """Replaces open options by what suits the shape."""
    size = min(shape[1:], default=1)
    return replace(o, widths=o.widths or stage_widths(size), shift=round(size / 14) if o.shift < 0 else o.shift)


def check(o: CNN, images: Dataset) -> Dataset:
    """The held-out items; a RequestError where a classifier cannot learn from the data."""
    if images.classes < 2 or images.labels is None:
        found = "no labels" if not images.classes else f"only the class {images.class_names[0]!r}"
        hint = "sort the images into one folder per class, or add a labels.csv"
        raise RequestError(f"{images.name} has {found}, and a classifier needs two classes", hint, field="data")
    held_out = held_out_of(images)
    if held_out.labels is None or int(held_out.labels.max()) >= images.classes:
        problem = f"the test split of {images.name} lacks the classes of its train split"
        raise RequestError(problem, "label both splits alike", field="data")
    if o.norm and o.batch < 2:
        problem = f"{o.batch} is too small for batch normalisation"
        raise RequestError(problem, "give 2 or more, or norm=false", field="batch")
    return held_out


def build(o: CNN, images: Dataset, plan: Plan) -> System:
    """The network, optimiser and loss of options, as `resolve` returns them."""
    held_out = check(o, images)
    stages = (o.widths, o.depth, o.kernel, o.stride, o.padding, o.pooling)
    network = Network(images.shape, images.classes, *stages, o.hidden, o.dropout, o.norm, o.activation)
    place([network], plan)
    task = ClassifierTask(o, network, images, held_out.to(plan.device))
    params = list(network.parameters())
    optimizer = AdamW(params, lr=o.lr, weight_decay=o.weight_decay, fused=True)
    phase = Phase("classifier", params, optimizer, task.loss, lr_factor=o.lr_factor)
    products = {files.CLASSIFIER: lambda path: task.freeze().write(path)}
    return System({"classifier": network}, [phase], None, plan.dtype, task.examine, products)
