"""The public data sets themselves, where they are on this machine (`GANVAS_DATA` says where)."""

from __future__ import annotations

import pytest
import torch

from ganvas.data import Dataset, known, open_data

pytestmark = pytest.mark.assets


def opened(name: str, split: str = "train") -> Dataset:
    if known.find(known.KNOWN[name]) is None:
        pytest.skip(f"needs {name} in GANVAS_DATA: {known.KNOWN[name].remedy}")
    return open_data(name, split=split)


@pytest.mark.parametrize(
    ("name", "split", "n", "shape"),
    [
        ("fashion-mnist", "train", 60_000, (1, 28, 28)),
        ("fashion-mnist", "test", 10_000, (1, 28, 28)),
        ("mnist", "train", 60_000, (1, 28, 28)),
        ("mnist", "test", 10_000, (1, 28, 28)),
        ("cifar10", "train", 50_000, (3, 32, 32)),
        ("cifar10", "test", 10_000, (3, 32, 32)),
    ],
)
def test_benchmark_sets_have_their_published_sizes(name: str, split: str, n: int, shape: tuple[int, ...]) -> None:
    data = opened(name, split)
    assert data.labels is not None
    assert (len(data), data.shape, data.classes) == (n, shape, 10)
    balanced = torch.bincount(data.labels) - n / 10
    assert balanced.abs().max() < 0.14 * n / 10  # exact but for MNIST


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("fashion-mnist", [0.2860], [0.3530]),
        ("mnist", [0.1307], [0.3081]),
        ("cifar10", [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
    ],
)
def test_benchmark_sets_have_their_published_statistics(name: str, mean: list[float], std: list[float]) -> None:
    for channel, level, spread in zip(opened(name).items.unbind(1), mean, std, strict=True):
        assert channel.numpy().mean() / 255 == pytest.approx(level, abs=1e-4)
        assert channel.float().std().item() / 255 == pytest.approx(spread, abs=1e-3)


def test_emoji_have_names() -> None:
    data = opened("emoji")
    assert (len(data), data.shape, data.classes) == (3786, (3, 64, 64), 10)
    assert data.captions is not None
    assert all(data.captions)
    heart = data.captions.index("green heart")
    assert data.items[heart].flatten(1).double().mean(1).argmax() == 1
