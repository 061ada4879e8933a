"""Intervals hold what they promise to hold."""

from __future__ import annotations

import math

import pytest
import scipy.stats
import torch

from ganvas.errors import RequestError, WorkError
from ganvas.metrics import bootstrap, frechet_distance, precision_recall, share_interval


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


@pytest.mark.parametrize(("part", "count"), [(0, 1), (1, 1), (0, 500), (500, 500), (3, 7), (12, 2000)])
def test_the_interval_of_a_share_is_wilsons(part: int, count: int) -> None:
    expected = scipy.stats.binomtest(part, count).proportion_ci(method="wilson")
    found = share_interval(part / count, count, z=scipy.stats.norm.ppf(0.975))
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.low <= part / count <= found.high and found.low < found.high


def test_a_share_of_items_that_depend_on_one_another_is_as_sure_as_its_error_says() -> None:
    error = math.sqrt(0.3 * 0.7 / 50)  # of 100 pairs of equal items, whose counts deviate as those of 50 do
    assert share_interval(0.3, 100, error) == pytest.approx(share_interval(0.3, 50))
    assert share_interval(0.3, 100, 1e-6) == share_interval(0.3, 100)  # never surer than so many items can be
    assert share_interval(0.3, 100, 10.0) == share_interval(0.3, 1)
    assert share_interval(1.0, 100, 0.0) == share_interval(1.0, 100)


@pytest.mark.parametrize("p", [0.003, 0.5, 0.99])
def test_the_interval_of_a_share_holds_as_often_as_it_says(p: float) -> None:
    """Over all outcomes of 1,000 draws; a share ± 1.96 standard errors holds 0.003 in 80 % of them."""
    outcomes = range(1001)
    held = [low < p < high for low, high in (share_interval(k / 1000, 1000) for k in outcomes)]
    assert 0.93 < (scipy.stats.binom.pmf(outcomes, 1000, p) * held).sum() < 0.985


def test_refusals() -> None:
    x = normal(5, 1, 0)
    for data, options in [((), {}), ((x[:0],), {}), ((x,), {"rounds": 1}), ((x,), {"level": 1.0})]:
        with pytest.raises(RequestError, match="bootstrap"):
            bootstrap(lambda *x: 0.0, *data, **options)
    with pytest.raises(WorkError, match="not finite"):
        bootstrap(lambda x: math.nan, x)
    for share, count in ((0.5, 0), (1.1, 9), (-0.1, 9), (math.nan, 9)):
        with pytest.raises(RequestError, match="is not a share"):
            share_interval(share, count)
