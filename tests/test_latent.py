from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganvas.errors import RequestError
from ganvas.latent import from_seeds, reject, truncate
from ganvas.nets import MLPGenerator

DECODER = MLPGenerator((1, 8, 8), latent=5, hidden=(8,))
SEEDS = st.integers(0, 2**63 - 1)


@given(st.lists(SEEDS, min_size=1, max_size=6), st.integers(0, 5))
def test_a_seed_gives_its_latent_whatever_stands_beside_it(seeds: list[int], at: int) -> None:
    at %= len(seeds)
    assert torch.equal(from_seeds(DECODER, seeds)[at], from_seeds(DECODER, [seeds[at]])[0])


def test_a_seed_is_that_of_a_cpu_generator() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    z = from_seeds(DECODER, [42, 7])
    expected = [torch.randn(5, generator=torch.Generator().manual_seed(seed)) for seed in (42, 7)]
    assert torch.equal(z, torch.stack(expected))
    assert z.device.type == "cpu"
    assert torch.equal(torch.get_rng_state(), before)  # the caller's own random numbers are left alone


def test_different_seeds_differ() -> None:
    z = from_seeds(DECODER, range(100))
    assert len({tuple(row.tolist()) for row in z}) == 100


def test_no_seed_is_refused() -> None:
    with pytest.raises(RequestError, match="at least one"):
        from_seeds(DECODER, [])


@pytest.mark.parametrize("seed", [-3, 2**64])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(RequestError, match=f"seed {seed} is out of range"):
        from_seeds(DECODER, [0, seed])


def test_truncation_moves_toward_the_mean() -> None:
    z = torch.randn(4, 5)
    assert torch.equal(truncate(z, 1.0), z)
    assert torch.equal(truncate(z, 0.0), torch.zeros(4, 5))
    mean = torch.full((5,), 2.0)
    torch.testing.assert_close(truncate(z, 0.25, mean) - mean, 0.25 * (z - mean))


@pytest.mark.parametrize("psi", [float("nan"), float("inf")])
def test_a_truncation_that_is_no_number_is_refused(psi: float) -> None:
    with pytest.raises(RequestError, match=f"truncation: {psi}"):
        truncate(torch.randn(4, 5), psi)
    with pytest.raises(RequestError, match=f"truncation: {psi}"):
        reject(DECODER, [0, 1], psi, lambda z, seeds: z)
