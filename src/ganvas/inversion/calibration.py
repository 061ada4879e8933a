"""Aids of a projection: a perceptual distance, an encoder's guesses, and pictures to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .. import files
from ..errors import RequestError
from ..evaluation.sources import Training, opening_real
from ..features import lpips
from ..frozen import Autoencoder, TrainedGenerator, load, load_classifier, weights
from ..progress import drain
from .search import PerceptualLoss

OWN = 3 * 10**6  # seed of the samples that are projected for comparison
MOST = 256  # pixels a side at which LPIPS, learnt on small images, sees larger ones (Karras et al. 2020)
LOUDNESS = 10  # weight of LPIPS next to the pixels: with a tenth of it photographs end farther away, in pixels too
FOUND, FOUND_AT_MOST = 0.02, 0.05  # distances: always found, and never found beyond
NEAR = 1.5  # times the distance of pictures of the data
FLAT = 0.75  # of the distance of a flat grey picture, beyond which nearly nothing of an image is shown


class Calibration(NamedTuple):
    """The distances of the model's own samples, and of pictures of its data where there are any."""

    own: float
    data: float | None = None

    def verdict(self, away: float, contrast: float) -> str:
        """The meaning of a distance, for an image whose pixels deviate by `contrast` (RMS, a share of the range)."""
        if away <= max(FOUND, min(2 * self.own, FOUND_AT_MOST)):
            return "found"
        limit = FLAT * contrast if self.data is None else min(NEAR * self.data, FLAT * contrast)
        if away <= limit:
            return "near"
        return f"far from what the model draws: {away:.2f}, where {self}"

    def __str__(self) -> str:
        data = "" if self.data is None else f", pictures of its data to {self.data:.3f}"
        return f"its own samples are found to {self.own:.3f}{data}"


def open_perceptual(name: str, data: str, shape: tuple[int, ...], device: str) -> PerceptualLoss | None:
    """A perceptual distance by name: "lpips", "lpips-alex", "cnn" (the shipped classifier of the data), or "none".

    "auto" is LPIPS where it is on this machine, else the classifier where it fits the shape. Raises RequestError where
    the chosen one is missing or does not fit.
    """
    file = weights.locate(f"cnn-{data}.safetensors")
    classifier = None if file is None else load_classifier(file, device)
    fits = classifier is not None and classifier.shape == shape
    if name == "auto":
        name = "lpips" if weights.locate("lpips.safetensors") else "cnn" if fits else "none"
    if name == "none":
        return None
    if name != "cnn":
        distance = lpips.load(name.removeprefix("lpips").removeprefix("-") or "vgg", device).distance
        return lambda x, y: LOUDNESS * distance(shrink(x), shrink(y))
    if classifier is None or not fits:
        problem = f"there is no classifier of {data or 'this data'} for this shape"
        raise RequestError(problem, "use none or lpips", field="look")
    features = classifier.network.features
    return lambda x, y: (features(x) - features(y)).square().mean(1)


def shrink(x: Tensor) -> Tensor:
    """Images (N, C, H, W) averaged down to at most MOST pixels a side."""
    times = -(-max(x.shape[2:]) // MOST)
    return functional.avg_pool2d(x, times) if times > 1 else x


def comparisons(generator: TrainedGenerator, training: Training | None, count: int) -> tuple[Tensor, int]:
    """`count` samples of the model, then as many held-out pictures where its data is there: (n, C, H, W), count."""
    own = generator.sample(range(OWN, OWN + count)) if count else torch.empty(0, *generator.decoder.shape)
    if training is None or not count:
        return own, count
    try:
        real = drain(opening_real(training.data, training, generator.decoder.shape, 0))
    except RequestError:  # the data was moved or changed
        return own, count
    return torch.cat([own, (real.test or real.train)[:count].cpu()]), count


def encode_guesses(path: Path | None, targets: Tensor, device: str) -> Tensor | None:
    """The latents (N, ...) of pictures by the encoder next to a generator; None where there is no encoder."""
    if path is None:
        return None
    inside = path / files.AUTOENCODER
    loaded = load(inside if inside.is_file() else path, device)
    return loaded.encode(targets) if isinstance(loaded, Autoencoder) else None
