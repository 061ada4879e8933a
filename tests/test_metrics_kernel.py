"""The kernel distance agrees with torchmetrics, is unbiased, and knows its own error."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from ganvas.errors import RequestError
from ganvas.metrics import inputs, kernel_distance, mmd


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("n", "d", "scale"), [(10, 3, 1.0), (120, 64, 1.5), (50, 2, 10.0)])
def test_mmd_agrees_with_torchmetrics(n: int, d: int, scale: float) -> None:
    real, fake = normal(n, d, 0), scale * normal(n, d, 1) + 0.5
    assert mmd(real, fake) == pytest.approx(poly_mmd(real, fake).item(), rel=1e-9)


def test_mmd_of_sets_of_different_sizes_by_hand() -> None:
    # D = 1: k(1, 2) = 27, k over {1, 2} × {0} = 1, k over the pairs of {0, 0, 1} = 1
    real, fake = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [0.0], [1.0]])
    cross = (1 + 1 + 8 + 1 + 1 + 27) / 6
    assert mmd(real, fake) == pytest.approx(27 + 1 - 2 * cross)


def test_kernel_distance_is_the_mean_of_its_subsets() -> None:
    """One subset apart, the value lies where the whole sets say, and the seed alone decides it."""
    real, fake = normal(400, 8, 0), normal(300, 8, 1) + 0.5
    first, again, other = (kernel_distance(real, fake, subset_size=100, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert first.value == pytest.approx(mmd(real[:300], fake), abs=2 * first.error)


def test_kernel_distance_is_unbiased_and_its_error_is_that_of_new_samples() -> None:
    """40 pairs of small sets: their mean is 0 for equal distributions, their deviation is what each one claimed."""

    def repeat(shift: float) -> tuple[torch.Tensor, float]:
        found = [kernel_distance(normal(60, 4, 2 * i), normal(60, 4, 2 * i + 1) + shift, subsets=20) for i in range(40)]
        return torch.tensor([f.value for f in found]), sum(f.error for f in found) / 40

    values, _ = repeat(0.0)
    assert abs(values.mean()) < 3 * values.std() / 40**0.5
    values, error = repeat(0.5)
    assert 0.7 < error / values.std() < 1.6


def test_kernel_distance_refuses() -> None:
    x = normal(10, 2, 0)
    for options in ({"subsets": 1}, {"subset_size": 1}):
        with pytest.raises(RequestError, match="subsets"):
            kernel_distance(x, x, **options)
    with pytest.raises(RequestError, match="at least 4"):
        kernel_distance(x, x[:3])


def test_many_rows_are_compared_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = (torch.randn(n, 5, generator=torch.Generator().manual_seed(n)) for n in (30, 40))
    whole = mmd(x, y)
    monkeypatch.setattr(inputs, "NUMBERS", 1000)  # 3 rows of one, 4 of the other
    assert mmd(x, y) == pytest.approx(whole, rel=1e-9)
