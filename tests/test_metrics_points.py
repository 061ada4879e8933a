"""The figures of points, counted by hand."""

from __future__ import annotations

import math

import pytest
import torch

from ganvas.errors import RequestError, WorkError
from ganvas.metrics import curve_report, mode_report


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


CENTRES = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def test_mode_report_of_a_perfect_mixture() -> None:
    points = CENTRES.repeat(25, 1) + 0.1 * normal(100, 2, 0)
    report = mode_report(points, CENTRES, sigma=0.1, radius=6)
    assert (report.modes, report.high_quality, report.counts.tolist()) == (4, 1.0, [25] * 4)
    assert report.reverse_kl == pytest.approx(0, abs=1e-12)


def test_mode_report_counts_by_hand() -> None:
    # Two good at mode 0, one exactly on the rim at mode 1, one out of reach but nearest to mode 2.
    points = torch.tensor([[0.0, 0.0], [0.5, 0.0], [10.0, 1.5], [0.0, 8.0]])
    report = mode_report(points, CENTRES, sigma=0.5)
    assert report.modes == 2
    assert report.high_quality == 0.75
    assert report.counts.tolist() == [2, 1, 0, 0]
    assert report.reverse_kl == pytest.approx(0.5 * math.log(2))  # shares ½ ¼ ¼ 0 against ¼ each


def test_mode_report_of_collapse() -> None:
    report = mode_report(CENTRES[:1].expand(50, 2), CENTRES, sigma=0.1)
    assert report.modes == 1
    assert report.reverse_kl == pytest.approx(math.log(4))


def test_mode_report_refuses_shapes() -> None:
    for points, centres in [(torch.zeros(0, 2), CENTRES), (torch.zeros(4, 3), CENTRES), (CENTRES, CENTRES[:0])]:
        with pytest.raises(RequestError, match="cannot assign"):
            mode_report(points, centres, sigma=1)


@pytest.mark.parametrize(("sigma", "radius"), [(0.0, 3.0), (-1.0, 3.0), (math.nan, 3.0), (math.inf, 3.0), (1.0, 0.0)])
def test_mode_report_refuses_modes_that_no_sample_can_reach(sigma: float, radius: float) -> None:
    with pytest.raises(RequestError, match="give a positive radius and sigma"):
        mode_report(CENTRES, CENTRES, sigma, radius)


def test_curve_report_of_the_curve_and_of_half_of_it() -> None:
    x = (torch.arange(400) + 0.5) / 400 * 2 * math.pi
    points = torch.stack([x, x.sin()], dim=1)
    assert curve_report(points) == pytest.approx((0, 1), abs=1e-6)
    assert curve_report(points[:200] + torch.tensor([0, 0.25])) == pytest.approx((0.25, 0.5), abs=1e-6)


def test_curve_report_does_not_count_points_outside() -> None:
    points = torch.tensor([[-1.0, math.sin(-1.0)], [7.0, math.sin(7.0)], [1.0, math.sin(1.0)]])
    assert curve_report(points) == pytest.approx((0, 1 / 40), abs=1e-6)


def test_curve_report_refuses_shapes() -> None:
    for points in (torch.zeros(0, 2), torch.zeros(4, 3)):
        with pytest.raises(RequestError, match="cannot measure"):
            curve_report(points)
    with pytest.raises(RequestError, match="into 0 bins"):
        curve_report(torch.zeros(4, 2), bins=0)


def test_points_that_are_not_finite_are_refused() -> None:
    bad = torch.tensor([[0.0, math.nan], [0.0, 0.0]])
    with pytest.raises(WorkError, match="NaN"):
        mode_report(bad, CENTRES, sigma=1)
    with pytest.raises(WorkError, match="NaN"):
        curve_report(bad)
