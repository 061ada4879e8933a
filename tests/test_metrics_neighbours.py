"""The figures of nearest neighbours agree with prdc and with distances taken all at once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc

from ganvas.errors import RequestError
from ganvas.metrics import density_coverage, nearest, neighbours, precision_recall


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets of a hundred rows then need several blocks each way, and k can exceed what a block holds."""
    monkeypatch.setattr(neighbours, "ROWS", 7)
    monkeypatch.setattr(neighbours, "COLUMNS", 4)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("shift", [0.0, 0.7, 30.0])
@pytest.mark.parametrize(("n", "m", "d"), [(150, 90, 6), (40, 700, 2), (64, 64, 50)])
def test_agrees_with_prdc(n: int, m: int, d: int, shift: float, k: int) -> None:
    real, fake = normal(n, d, 0) + 100, 0.8 * normal(m, d, 1) + 100 + shift
    expected = compute_prdc(real.numpy(), fake.numpy(), nearest_k=k)
    found = precision_recall(real, fake, k)._asdict() | density_coverage(real, fake, k)._asdict()
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.usefixtures("small_blocks")
def test_blocks_change_nothing() -> None:
    real, fake = normal(100, 3, 0), normal(60, 3, 1) + 0.5
    expected = compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    found = precision_recall(real, fake, 5)._asdict() | density_coverage(real, fake, 5)._asdict()
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.usefixtures("small_blocks")
def test_blocks_are_small() -> None:
    sizes = [squared.shape for _, _, squared in neighbours._blocks(normal(30, 2, 0), normal(30, 2, 1))]
    assert sum(rows * columns for rows, columns in sizes) == 30 * 30
    assert max(rows for rows, _ in sizes) == 7 and max(columns for _, columns in sizes) == 4


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("k", [1, 6, 30])
def test_nearest_agrees_with_all_distances(k: int) -> None:
    query, reference = normal(20, 5, 0) + 50, normal(30, 5, 1) + 50
    expected, rows = torch.cdist(query, reference, compute_mode="donot_use_mm_for_euclid_dist").topk(k, largest=False)
    distances, indices = nearest(query, reference, k)
    torch.testing.assert_close(distances, expected, rtol=1e-9, atol=0)
    assert indices.tolist() == rows.tolist()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), offset=st.floats(-1e4, 1e4), scale=st.floats(1e-3, 1e3))
def test_a_copy_is_at_distance_0_and_found(seed: int, offset: float, scale: float) -> None:
    """Also in float32, and far from the origin."""
    reference = (scale * normal(40, 16, seed) + offset).float().unique(dim=0)
    rows = torch.randint(len(reference), (10,), generator=torch.Generator().manual_seed(seed))
    distances, indices = nearest(reference[rows], reference)
    assert distances.max() == 0
    assert indices[:, 0].tolist() == rows.tolist()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31), k=st.integers(1, 6), scale=st.floats(0.01, 100))
def test_figures_do_not_depend_on_the_frame(seed: int, k: int, scale: float) -> None:
    """Order, shift, turn and scale of the features: only who is near whom counts."""
    real, fake = normal(40, 3, seed), normal(30, 3, seed + 1) + 0.5
    turn = scale * torch.linalg.qr(normal(3, 3, seed + 2)).Q

    def moved(x: torch.Tensor) -> torch.Tensor:
        return (x @ turn + 7)[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))]

    assert precision_recall(moved(real), moved(fake), k) == pytest.approx(precision_recall(real, fake, k))
    assert density_coverage(moved(real), moved(fake), k) == pytest.approx(density_coverage(real, fake, k))
    assert precision_recall(fake, real, k) == precision_recall(real, fake, k)[::-1]


def test_perfect_copied_collapsed_and_wrong() -> None:
    real = normal(200, 4, 0)
    assert precision_recall(real, real) == (1, 1)
    assert density_coverage(real, real).coverage == 1
    assert precision_recall(real, real + 1000) == (0, 0)
    assert density_coverage(real, real + 1000) == (0, 0)
    collapsed = real[:1].expand(200, 4)
    assert precision_recall(real, collapsed) == (1, 1 / 200)
    assert density_coverage(real, collapsed).coverage < 0.1
    constant = torch.ones(20, 4)
    assert precision_recall(constant, constant) == (1, 1)
    assert density_coverage(constant, constant).coverage == 1


@pytest.mark.parametrize("far", [1e6, 1e10, 1e14])
@pytest.mark.parametrize("row", [0, 150])
def test_one_sample_that_is_far_away_changes_nothing_about_the_others(row: int, far: float) -> None:
    real, fake = normal(200, 4, 0), normal(200, 4, 1) + 0.3
    strayed = fake.clone()
    strayed[row] = far
    kept = torch.arange(200) != row
    found, others = (density_coverage(real, x) for x in (strayed, fake[kept]))
    assert found.coverage == others.coverage
    assert found.density == pytest.approx(others.density * 199 / 200)
    precise = precision_recall(real, fake[kept]).precision * 199 / 200
    assert precision_recall(real, strayed).precision == pytest.approx(precise)
    torch.testing.assert_close(nearest(real, strayed)[0], nearest(real, fake[kept])[0])


def test_samples_of_the_same_distribution_are_covered_as_the_paper_says() -> None:
    found = density_coverage(normal(1500, 5, 0), normal(1500, 5, 1))
    assert found.density == pytest.approx(1, abs=0.1)
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.02)


def test_refusals() -> None:
    x = normal(5, 2, 0)
    for metric in (precision_recall, density_coverage, nearest):
        with pytest.raises(RequestError, match="neighbour"):
            metric(x, x, 0)
        with pytest.raises(RequestError, match="at least"):
            metric(x, x, 6)
        with pytest.raises(RequestError, match="cannot compare"):
            metric(x, normal(5, 3, 0), 1)
