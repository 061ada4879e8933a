"""Perceptual distances by name, for losses that compare reconstructions with their originals."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..data import Dataset
from ..errors import RequestError, unknown
from ..frozen import load_classifier, weights
from . import lpips

Distance = Callable[[Tensor, Tensor], Tensor]  # images (N, C, H, W) in [-1, 1], twice -> (N,), differentiable


def classified(dataset: Dataset, device: str) -> Distance:
    """The mean squared difference of the hidden layer of the classifier that was trained on the data set, over 4.

    So unrelated images are about as far apart as by LPIPS.
    """
    remedy = f"`ganvas train cnn {dataset.name}` makes one; rename its classifier.safetensors"
    path = weights.find(f"cnn-{dataset.name}", remedy, f"cnn-{dataset.name}.safetensors")
    network = load_classifier(path, device).network
    if network.shape != dataset.shape:
        own, given = ("×".join(map(str, shape)) for shape in (network.shape, dataset.shape))
        problem = f"{path} takes images of {own}, not of {given}"
        raise RequestError(problem, "choose lpips", field="options.perceptual")
    return lambda x, y: (network.features(x) - network.features(y)).float().square().mean(1) / 4


PERCEPTUAL: dict[str, Callable[[Dataset, str], Distance]] = {
    "lpips": lambda dataset, device: lpips.load("vgg", device).distance,
    "lpips-alex": lambda dataset, device: lpips.load("alex", device).distance,
    "cnn": classified,
}


def perceptual(name: str, dataset: Dataset, device: str) -> Distance:
    """The distance of that name, of PERCEPTUAL, for the images of a data set. RequestError where it does not suit."""
    if name not in PERCEPTUAL:
        raise unknown("perceptual distance", name, PERCEPTUAL, field="options.perceptual")
    return PERCEPTUAL[name](dataset, device)


def available(device: str) -> str:
    """The default distance on a device: LPIPS where its weights are on this machine, or none.

    On a CPU that of AlexNet: VGG16 takes seven times as long there as all the rest of a small network's step.
    """
    name = lpips.FILES["alex" if device == "cpu" else "vgg"]
    return name if weights.locate(f"{name}.safetensors") else "none"
