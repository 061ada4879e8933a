"""What a projection uses from around the model: a perceptual distance, an encoder, and pictures to compare with."""

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
LOUDNESS = 10  # times LPIPS beside the pixels: at a tenth of it photographs are found less well, in pixels too
FOUND = 0.02  # a distance that is a match, whatever the model
LOST = 0.05  # a distance that is none, however far the model's own samples stay
LIKE_DATA = 1.5  # times as far as pictures of the data are, and no farther, is near
FLAT = 0.75  # of the distance of a flat grey picture, beyond which next to nothing of an image is shown


class Calibration(NamedTuple):
    """What distances mean: how near the model's own samples are found, and pictures of its data where it has any."""

    own: float
    data: float | None = None

    def verdict(self, away: float, contrast: float) -> str:
        """What a distance says of an image in which pixels deviate by `contrast` (RMS, a share of the range)."""
        if away <= max(FOUND, min(2 * self.own, LOST)):
            return "found"
        limit = FLAT * contrast if self.data is None else min(LIKE_DATA * self.data, FLAT * contrast)
        if away <= limit:
            return "near"
        return f"far from what the model draws: {away:.2f}, where {self}"

    def __str__(self) -> str:
        data = "" if self.data is None else f", pictures of its data to {self.data:.3f}"
        return f"its own samples are found to {self.own:.3f}{data}"


def open_perceptual(name: str, data: str, shape: tuple[int, ...], device: str) -> PerceptualLoss | None:
    """A perceptual distance by name: "lpips", "lpips-alex", "cnn" (the shipped classifier of the data), or "none".

    "auto" is the first of LPIPS and the classifier that is on this machine and fits the shape. Raises RequestError
    where the chosen one does not.
    """
    file = weights.locate(f"cnn-{data}.safetensors")
    classifier = None if file is None else load_classifier(file, device)
    fits = classifier is not None and classifier.shape == shape
    if name == "auto":
        name = "lpips" if weights.locate("lpips.safetensors") else "cnn" if fits else "none"
    if name == "none":
        return None
    if name != "cnn":
        likeness = lpips.load(name.removeprefix("lpips").removeprefix("-") or "vgg", device).distance
        return lambda x, y: LOUDNESS * likeness(shrunk(x), shrunk(y))
    if classifier is None or not fits:
        raise RequestError(
            f"there is no classifier of {data or 'this data'} of this shape", "use none or lpips", field="look"
        )
    features = classifier.network.features
    return lambda x, y: (features(x) - features(y)).square().mean(1)


def shrunk(x: Tensor) -> Tensor:
    """Images (N, C, H, W) averaged down to at most MOST pixels a side."""
    times = -(-max(x.shape[2:]) // MOST)
    return functional.avg_pool2d(x, times) if times > 1 else x


def comparisons(generator: TrainedGenerator, training: Training | None, count: int) -> tuple[Tensor, int]:
    """`count` samples of the model and, where its data is at hand, as many pictures that it was not trained on.

    Gives both together, (n, C, H, W), and how many of them are samples.
    """
    own = generator.sample(range(OWN, OWN + count)) if count else torch.empty(0, *generator.decoder.shape)
    if training is None or not count:
        return own, count
    try:
        real = drain(opening_real(training.data, training, generator.decoder.shape, 0))
    except RequestError:  # the data has been moved or changed, which is no reason not to look
        return own, count
    return torch.cat([own, (real.test or real.train)[:count].cpu()]), count


def guesses(path: Path | None, targets: Tensor, device: str) -> Tensor | None:
    """What the encoder next to a generator makes of pictures: latents (N, ...); None where there is no encoder."""
    if path is None:
        return None
    inside = path / files.AUTOENCODER
    loaded = load(inside if inside.is_file() else path, device)
    return loaded.encode(targets) if isinstance(loaded, Autoencoder) else None
