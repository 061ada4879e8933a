"""Features without published weights: pixels, points, and the classifiers that ganvas trains."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from .. import alpha
from ..data import Dataset
from ..data.arrays import LUMA
from ..frozen import Classifier
from ..frozen.weights import digest
from ..nets.resize import resize
from .extractor import Extractor

PIXELS = 16  # the longest side of what "pixels" compares


def fit(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Images (N, C, H, W) in [-1, 1], C 1, 3 or 4 -> (N, *shape), of the values that 8 bits hold."""
    x = x if alpha.has_alpha(shape) else alpha.flat(x)
    x = (x * 127.5 + 127.5).round().clamp(0, 255) / 127.5 - 1
    if x.shape[1] == 3 and shape[0] == 1:
        x = (x * torch.tensor(LUMA, device=x.device)[:, None, None]).sum(1, keepdim=True)
    if x.shape[2:] != shape[1:]:
        x = resize(x, (shape[1], shape[2]), "bilinear")
    if alpha.has_alpha(shape) and x.shape[1] != shape[0]:  # opaque
        return torch.cat([x.expand(-1, 3, -1, -1), torch.ones_like(x[:, :1])], 1)
    return x.expand(-1, shape[0], -1, -1)


def preparation(shape: tuple[int, ...]) -> str:
    """What `fit` does, in words."""
    channels, height, width = shape
    kind = {1: "grey", 4: "premultiplied RGBA"}.get(channels, "RGB")
    return f"8-bit values, {kind}, resized to {height}×{width} (bilinear, antialiased)"


def pixels(dataset: Dataset, device: str) -> Extractor:
    """The values of the pixels, images averaged down to at most 16×16."""
    channels, height, width = dataset.shape
    shape = (min(channels, 3), min(height, PIXELS), min(width, PIXELS))
    twice = alpha.has_alpha(dataset.shape)
    colours = (alpha.WHITE, alpha.BLACK) if twice else (alpha.WHITE,)

    def values(x: Tensor) -> Tensor:
        return torch.cat([fit(alpha.flat(x, colour), shape) for colour in colours], 1).flatten(1)

    words = "laid on white, and on black" if twice else "laid on white"
    dim = len(colours) * prod(shape)
    return Extractor("pixels", "", dim, preparation(shape), values, None, device, transparency=words)


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
        transparency="seen by the classifier" if alpha.has_alpha(shape) else "laid on white",
        widest=lambda size: network.options["widths"][0] * prod(shape[1:]),
    )
