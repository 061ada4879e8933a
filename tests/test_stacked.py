"""Stacked MNIST: triples of digits whose class is the number that they write."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from ganvas.data import Dataset, open_data, stacked

PER_DIGIT = 3


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits of one colour each: 20 times the digit, 1 more for each copy, and 10 more in the test split."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    labels = np.repeat(np.arange(10, dtype=np.uint8), PER_DIGIT)
    shade = 20 * labels + np.tile(np.arange(PER_DIGIT, dtype=np.uint8), 10)
    for prefix, offset in (("train", 0), ("t10k", 10)):
        images = np.broadcast_to((shade + np.uint8(offset))[:, None, None], (len(shade), 28, 28))
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", labels)
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path))
    monkeypatch.setattr(stacked, "COUNTS", {"train": 4000, "test": 500})


def digits(data: Dataset) -> torch.Tensor:
    """The number that the colours of each picture write."""
    return data.items[:, :, 0, 0].long() // 20 @ torch.tensor([100, 10, 1])


@pytest.mark.usefixtures("mnist")
def test_the_class_is_the_number_that_the_colours_write() -> None:
    data = open_data("stacked-mnist")
    assert (len(data), data.shape, data.classes, data.name) == (4000, (3, 28, 28), 1000, "stacked-mnist")
    assert data.labels is not None
    assert torch.equal(data.labels, digits(data))
    assert data.class_names[7] == "007"
    assert len(data.labels.unique()) > 950  # of 1,000, each missed with probability e^-4
    assert len(data.items[:, 0, 0, 0].unique()) == 10 * PER_DIGIT


@pytest.mark.usefixtures("mnist")
def test_it_is_a_function_of_the_seed_and_the_split() -> None:
    first = open_data("stacked-mnist", seed=1)
    assert torch.equal(first.items, open_data("stacked-mnist", seed=1).items)
    assert not torch.equal(first.items, open_data("stacked-mnist", seed=2).items)
    test = open_data("stacked-mnist", split="test", seed=1)
    assert len(test) == 500
    assert set((test.items % 20).flatten().tolist()) == {10, 11, 12}  # digits of the test split alone


@pytest.mark.usefixtures("mnist")
def test_it_is_fitted_as_any_other() -> None:
    assert open_data("stacked-mnist", size=32).shape == (3, 32, 32)
