"""Stacked MNIST (Metz et al. 2017, arXiv 1611.02163): three random digits as the colours of one picture, 1,000 modes.

To count the modes that a generator reaches, classify each channel, as VEEGAN and PacGAN do with 26,000 samples
(arXiv 1705.07761, 1712.04086).
"""

from __future__ import annotations

import numpy as np
import torch

from ..progress import Steps
from .dataset import Dataset, Origin
from .known import read_known
from .options import Options

COUNTS = {"train": 128_000, "test": 26_000}


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
