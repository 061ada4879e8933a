"""Stacked MNIST: triples of digits whose class is the number that they write, and how modes of it are counted."""

from __future__ import annotations

import gzip
import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ganvas.data import Dataset, open_data
from ganvas.errors import RequestError
from ganvas.evaluation import evaluate, extraction
from ganvas.features import Extractor
from ganvas.frozen import weights

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
    monkeypatch.setattr("ganvas.data.digits.COUNTS", {"train": 4000, "test": 500})


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


def shade(x: torch.Tensor) -> torch.Tensor:
    """A classifier of pictures (N, 1, H, W) of one shade: digit k is as bright as (k - 4.5) / 4.5."""
    return -(x.mean((1, 2, 3))[:, None] - torch.linspace(-1, 1, 10)).square()


@pytest.fixture
def triples() -> Dataset:
    """Every number from 0 to 999, its digits as the shades of three channels."""
    numbers = torch.arange(1000)
    digits = torch.stack([numbers // 100, numbers // 10 % 10, numbers % 10], 1)  # (1000, 3)
    pixels = (digits * (255 / 9)).round().to(torch.uint8)[:, :, None, None].expand(-1, -1, 4, 4).contiguous()
    names = tuple(f"{number:03}" for number in range(1000))
    return Dataset(name="stacked-mnist", items=pixels.repeat(4, 1, 1, 1), labels=numbers.repeat(4), class_names=names)


def test_modes_of_stacked_digits_are_read_channel_by_channel(triples: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = extraction.open_features
    shades = Extractor("cnn-mnist", "0123456789abcdef", 10, "as they are", shade, shade)
    monkeypatch.setattr(
        extraction, "open_features", lambda name, **k: shades if name == "cnn-mnist" else opened(name, **k)
    )
    some = triples.rows((triples.labels < 120).nonzero()[:, 0])
    found = evaluate(some, replace(triples, held_out=triples), metrics=["modes", "accuracy"], device="cpu")
    assert found.figures["modes"].value == 120
    assert 350 < (found.figures["modes"].floor or 0) < 480  # of 480 numbers, some of them equal
    assert found.figures["accuracy"].value == 1
    assert found.figures["reverse_kl"].value == pytest.approx(math.log(1000 / 120), abs=1e-6)
    assert found.protocol["classifier"] == "cnn-mnist on each channel"
    assert "this is mode collapse: they reach 120 modes or classes" in found.findings[0]


def test_without_the_classifier_the_classes_are_left_out(
    triples: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    found = evaluate(triples, triples, metrics=None, samples=40, device="cpu")
    assert "modes" not in found.figures
    assert "The classes of the samples are not counted: the weights of cnn-mnist" in " ".join(found.warnings)
    with pytest.raises(RequestError, match="the weights of cnn-mnist"):
        evaluate(triples, triples, metrics=["modes"], device="cpu")
