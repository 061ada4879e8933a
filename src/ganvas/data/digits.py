"""Handwritten digits: those that come with the package, and MNIST's in threes.

The first are the test part of UCI's Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998),
https://doi.org/10.24432/C50P49, CC BY 4.0; see digits.txt. The others are Stacked MNIST (Metz et al. 2017, arXiv
1611.02163): three random digits as the colours of one picture, 1,000 modes. To count the modes that a generator
reaches, classify each channel, as VEEGAN and PacGAN do with 26,000 samples (arXiv 1705.07761, 1712.04086).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..progress import Steps
from .dataset import Dataset, Origin
from .known import read_known
from .options import Options

COUNTS = {"train": 128_000, "test": 26_000}  # of triples
FILE = Path(__file__).with_name("digits.npz")


def read_digits(name: str, options: Options) -> Dataset:
    """1,797 images, (1, 8, 8), their 17 grey levels scaled to 0..255, with ten classes."""
    options.require_train(name)
    with np.load(FILE) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    items = torch.from_numpy((images[:, None] * (255 / 16)).round().astype(np.uint8))
    origin = Origin("UCI Optical Recognition of Handwritten Digits")
    return Dataset(name, items, torch.from_numpy(labels.astype(np.int64)), tuple("0123456789"), origin=origin)


def read_stacked(name: str, options: Options) -> Steps[Dataset]:
    """Triples of the digits of a split: a function of the seed and the split.

    The class of a triple is the number that its digits form: red the hundreds, green the tens, blue the ones.
    """
    digits = yield from read_known("mnist", options)
    assert digits.labels is not None
    rng = np.random.default_rng((options.seed, options.split == "test"))
    rows = torch.from_numpy(rng.integers(len(digits), size=(COUNTS[options.split], 3)))  # (N, 3), with replacement
    items, labels = digits.items[:, 0][rows], digits.labels[rows] @ torch.tensor([100, 10, 1])
    names = tuple(f"{number:03}" for number in range(1000))
    return Dataset(name, items, labels, names, origin=Origin(digits.origin.place))
