"""Intervals hold what they promise to hold."""

from __future__ import annotations

import math

import pytest
import torch

from ganvas.errors import RequestError, WorkError
from ganvas.metrics import bootstrap, frechet_distance, precision_recall


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    x = normal(400, 1, 0)
    low, high = bootstrap(lambda x: x.mean().item(), x, rounds=2000)
    half = 1.96 * x.std().item() / math.sqrt(400)
    assert (low, high) == pytest.approx((x.mean().item() - half, x.mean().item() + half), abs=0.1 * half)


def test_the_interval_holds_as_often_as_it_says() -> None:
    """The mean of the distribution lies in 80 % of the intervals at level 0.8, over a hundred samples of it."""
    intervals = [bootstrap(lambda x: x.mean().item(), normal(50, 1, i), rounds=100, level=0.8) for i in range(100)]
    assert 70 <= sum(low < 0 < high for low, high in intervals) <= 90


@pytest.mark.parametrize("metric", [frechet_distance, lambda x, y: precision_recall(x, y).recall])
def test_a_figure_that_redrawing_biases_lies_in_its_interval_nonetheless(metric) -> None:
    real, fake = normal(100, 16, 0), normal(100, 16, 1) * 0.9
    figure = metric(real, fake)
    low, high = bootstrap(metric, real, fake, rounds=50)
    assert low < figure < high
    again = [metric(normal(100, 16, 2 * i + 2), normal(100, 16, 2 * i + 3) * 0.9) for i in range(40)]
    width = 2 * 1.96 * torch.tensor(again).std().item()
    assert 0.5 < (high - low) / width < 2, "as wide as new samples of the same distributions scatter"


def test_seeds_and_rows_that_belong_together() -> None:
    x = normal(30, 2, 0)
    assert bootstrap(frechet_distance, x, x + 1, seed=1) == bootstrap(frechet_distance, x, x + 1, seed=1)
    assert bootstrap(frechet_distance, x, x + 1, seed=1) != bootstrap(frechet_distance, x, x + 1, seed=2)
    paired = bootstrap(lambda i: (x[i] - x[i]).abs().sum().item(), torch.arange(30))
    assert paired == (0, 0)


def test_refusals() -> None:
    x = normal(5, 1, 0)
    for data, options in [((), {}), ((x[:0],), {}), ((x,), {"rounds": 1}), ((x,), {"level": 1.0})]:
        with pytest.raises(RequestError, match="bootstrap"):
            bootstrap(lambda *x: 0.0, *data, **options)
    with pytest.raises(WorkError, match="not finite"):
        bootstrap(lambda x: math.nan, x)
