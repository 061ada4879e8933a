"""The Fréchet distance agrees with closed forms, with SciPy and with torchmetrics; moments do not depend on batches."""

from __future__ import annotations

import math

import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.image.fid import FrechetInceptionDistance

from ganvas.errors import RequestError, WorkError
from ganvas.metrics import Moments, frechet, frechet_distance


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


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31), n=st.integers(5, 40), d=st.integers(1, 20))
def test_frechet_distance_moves_with_the_features(seed: int, n: int, d: int) -> None:
    """Symmetric, blind to turns and shifts of both, and of the second degree; also where N < D."""
    x, y = normal(n, d, seed), normal(n + 3, d, seed + 1) * 2 + 1
    distance = frechet_distance(x, y)
    turn, shift = torch.linalg.qr(normal(d, d, seed + 2)).Q, normal(1, d, seed + 3)
    assert frechet_distance(y, x) == pytest.approx(distance, rel=1e-6)
    assert frechet_distance(x @ turn + shift, y @ turn + shift) == pytest.approx(distance, rel=1e-6)
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * distance, rel=1e-6)
    assert frechet_distance(x, x[torch.randperm(n)]) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_agrees_with_torchmetrics() -> None:
    features = torch.nn.Identity()
    features.num_features = 48
    oracle = FrechetInceptionDistance(feature=features)
    real, fake = normal(300, 48, 0), normal(200, 48, 1) * 1.3 + 0.2
    for part in real.split(64):
        oracle.update(part, real=True)
    for part in fake.split(64):
        oracle.update(part, real=False)
    assert frechet_distance(real, fake) == pytest.approx(oracle.compute().item(), rel=1e-6)


def test_frechet_distance_of_singular_covariances_has_a_closed_form() -> None:
    """Two flat Gaussians: λᵢ on the first axes of one and μᵢ of the other commute, so that Σ (√λ − √μ)² is exact."""
    x = whiten(normal(400, 8, 0))
    first, second = torch.tensor([3.0, 2, 1, 0, 0, 0, 0, 0]), torch.tensor([0, 0, 2.0, 2, 0, 0, 0, 0])
    assert frechet_distance(x * first, x * second) == pytest.approx(9 + 4 + 1 + 4, rel=1e-9)
    assert frechet_distance(x * 0, x * second) == pytest.approx(8, rel=1e-9)
    assert frechet_distance(x * 0 + 1, x * 0 - 1) == pytest.approx(4 * 8, rel=1e-9)


@settings(deadline=None, max_examples=25)
@given(cuts=st.lists(st.integers(0, 50), max_size=6), seed=st.integers(0, 2**31))
def test_moments_do_not_depend_on_the_batches(cuts: list[int], seed: int) -> None:
    x = normal(50, 4, seed) * torch.tensor([1, 10, 0.01, 0]) + 1000
    moments = Moments(4)
    for part in x.tensor_split(sorted(cuts)):
        moments.update(part)
    assert moments.count == 50
    torch.testing.assert_close(moments.mean, x.mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(moments.covariance, x.T.cov(), rtol=1e-8, atol=1e-12)


def test_moments_of_batches_beyond_the_block_give_the_same_distance() -> None:
    x, y = normal(9000, 3, 0), normal(100, 3, 1)
    real, fake = Moments(3), Moments(3)
    real.update(x.float())
    fake.update(y.float())
    torch.testing.assert_close(real.covariance, x.float().double().T.cov())
    assert frechet(real, fake) == pytest.approx(frechet_distance(x, y), rel=1e-5)


def test_moments_refuse() -> None:
    moments = Moments(3)
    with pytest.raises(RequestError, match="0 samples"):
        _ = moments.mean
    moments.update(torch.ones(1, 3))
    with pytest.raises(RequestError, match="1 samples"):
        _ = moments.covariance
    with pytest.raises(RequestError, match="give"):
        moments.update(torch.ones(2, 4))
    with pytest.raises(WorkError, match="NaN"):
        moments.update(torch.tensor([[1.0, math.inf, 0.0]]))
    assert moments.count == 1, "a refused batch adds nothing"
    with pytest.raises(RequestError, match="same network"):
        frechet(moments, Moments(4))
