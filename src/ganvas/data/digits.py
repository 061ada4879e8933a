"""The digits that come with the package: the test part of UCI's Optical Recognition of Handwritten Digits.

E. Alpaydin and C. Kaynak (1998), https://doi.org/10.24432/C50P49, CC BY 4.0; see digits.txt.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .dataset import Dataset, Origin
from .options import Options

FILE = Path(__file__).with_name("digits.npz")


def read_digits(name: str, options: Options) -> Dataset:
    """1,797 images, (1, 8, 8), their 17 grey levels scaled to 0..255, with ten classes."""
    options.require_train(name)
    with np.load(FILE) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    items = torch.from_numpy((images[:, None] * (255 / 16)).round().astype(np.uint8))
    origin = Origin("UCI Optical Recognition of Handwritten Digits")
    return Dataset(name, items, torch.from_numpy(labels.astype(np.int64)), tuple("0123456789"), origin=origin)
