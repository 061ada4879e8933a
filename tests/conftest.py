"""What every test shares: one thread, no display, and no trace left in the user's cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
import torch

matplotlib.use("Agg")
torch.set_num_threads(1)  # results that depend on nothing but the seed, and workers that do not starve each other

FASHION_MNIST = (Path("/usr/share/datasets/fashion-mnist"), Path("/usr/share/dataset-fashion-mnist"))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of this test session, which every subprocess inherits."""
    before = os.environ.get("GANVAS_CACHE")
    path = tmp_path_factory.mktemp("cache")
    os.environ["GANVAS_CACHE"] = str(path)
    yield path
    if before is None:
        del os.environ["GANVAS_CACHE"]
    else:
        os.environ["GANVAS_CACHE"] = before


@pytest.fixture(scope="session")
def fashion_mnist() -> Path:
    """The folder of Fashion-MNIST's four IDX files; skips where they are not installed."""
    for folder in FASHION_MNIST:
        if (folder / "train-images-idx3-ubyte.gz").exists():
            return folder
    pytest.skip("needs Fashion-MNIST (Debian: apt-get install dataset-fashion-mnist)")
