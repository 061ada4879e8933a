"""The metrics agree with closed forms and with SciPy."""

from __future__ import annotations

import math

import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganvas.errors import RequestError, WorkError
from ganvas.metrics import curve_report, frechet_distance, mode_report


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whiten(x: torch.Tensor) -> torch.Tensor:
    """The same points, moved to mean exactly 0 and covariance exactly 1."""
    x = x - x.mean(0)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(x.T.cov()), x.T, upper=False).T


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31), d=st.integers(2, 12), scale=st.floats(0.01, 100))
def test_frechet_distance_agrees_with_the_matrix_root_of_scipy(seed: int, d: int, scale: float) -> None:
    mix = normal(d, d, seed) + 2 * torch.eye(d)
    real, fake = normal(60, d, seed + 1), scale * normal(50, d, seed + 2) @ mix + 1
    s1, s2 = real.T.cov(), fake.T.cov()
    root = torch.as_tensor(scipy.linalg.sqrtm((s1 @ s2).numpy())).real
    expected = (real.mean(0) - fake.mean(0)).square().sum() + torch.trace(s1 + s2 - 2 * root)
    assert frechet_distance(real, fake) == pytest.approx(expected.item(), rel=1e-6)


def test_frechet_distance_of_known_gaussians() -> None:
    x = whiten(normal(200, 4, 0))
    shift, scale = torch.tensor([3.0, 0, -4.0, 0]).double(), torch.tensor([1.0, 2.0, 0.5, 0.0]).double()
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + shift) == pytest.approx(25)
    # for commuting covariances it is Σ (σ₁ − σ₂)²; the last feature becomes constant
    assert frechet_distance(x, x * scale) == pytest.approx(0 + 1 + 0.25 + 1)
    assert frechet_distance(x * scale, x) == pytest.approx(2.25)


def test_frechet_distance_of_fewer_samples_than_features() -> None:
    real, fake = normal(10, 64, 1), normal(12, 64, 2)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(real, fake) == pytest.approx(frechet_distance(fake, real))
    assert frechet_distance(real, fake) > 1


def test_frechet_distance_does_not_lose_small_differences_in_large_features() -> None:
    x = normal(500, 3, 0).float()
    assert frechet_distance(x + 1000, x + 1000.5) == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize("shapes", [((5, 3), (5, 4)), ((1, 3), (5, 3)), ((5,), (5,))])
def test_frechet_distance_refuses_shapes(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(RequestError, match="cannot compare"):
        frechet_distance(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


def test_frechet_distance_says_that_samples_are_not_finite() -> None:
    bad = torch.ones(5, 2)
    bad[2, 1] = math.nan
    for real, fake in [(bad, torch.eye(2)), (torch.eye(2), bad)]:
        with pytest.raises(WorkError, match="NaN"):
            frechet_distance(real, fake)


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
    for points in (torch.zeros(0, 2), torch.zeros(4, 3)):
        with pytest.raises(RequestError, match="cannot assign"):
            mode_report(points, CENTRES, sigma=1)


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
        with pytest.raises(RequestError, match="cannot judge"):
            curve_report(points)
