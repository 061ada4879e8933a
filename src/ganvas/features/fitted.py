"""Features without published weights: pixels, points, and the classifiers that ganvas trains."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from ..data import Dataset
from ..data.arrays import LUMA
from ..frozen import Classifier
from ..frozen.weights import digest
from ..nets.resize import resize
from .extractor import Extractor

PIXELS = 16  # the longest side of what "pixels" compares


def fit(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Images (N, C, H, W) in [-1, 1], C 1 or 3 -> (N, *shape), of the values that 8 bits hold."""
    x = (x * 127.5 + 127.5).round().clamp(0, 255) / 127.5 - 1
    if x.shape[1] == 3 and shape[0] == 1:
        x = (x * torch.tensor(LUMA, device=x.device)[:, None, None]).sum(1, keepdim=True)
    if x.shape[2:] != shape[1:]:
        x = resize(x, (shape[1], shape[2]), "bilinear")
    return x.expand(-1, shape[0], -1, -1)


def preparation(shape: tuple[int, ...]) -> str:
    """What `fit` does, in words."""
    channels, height, width = shape
    return f"8-bit values, {'RGB' if channels == 3 else 'grey'}, resized to {height}×{width} (bilinear, antialiased)"


def pixels(dataset: Dataset, device: str) -> Extractor:
    """The values of the pixels, images averaged down to at most 16×16."""
    channels, height, width = dataset.shape
    shape = (channels, min(height, PIXELS), min(width, PIXELS))
    return Extractor("pixels", "", prod(shape), preparation(shape), lambda x: fit(x, shape).flatten(1), None, device)


def points(dataset: Dataset, device: str) -> Extractor:
    """The coordinates themselves."""
    resize = "points are taken as they are"
    return Extractor("points", "", dataset.shape[0], resize, lambda x: x, None, device, images=False)


def of_classifier(classifier: Classifier, name: str) -> Extractor:
    """The hidden layer of a classifier, before its activation, and its logits, on the classifier's device."""
    network, shape = classifier.network, classifier.shape
    device = next(network.parameters()).device
    if device.type != "mps":  # a CPU is half as quick again with it; MPS has had wrong numbers
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch's stub forgets it
    return Extractor(
        name,
        digest(network.state_dict()),
        network.hidden,
        preparation(shape),
        lambda x: network.features(fit(x, shape)),
        lambda x: network(fit(x, shape)),
        str(device),
        classifier.class_names,
        widest=lambda size: network.options["widths"][0] * prod(shape[1:]),
    )
