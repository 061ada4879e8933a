"""The formulas of the variational autoencoder, against torch.distributions, closed forms and sampling."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from ganvas.objectives.likelihoods import (
    LEVELS,
    LIKELIHOODS,
    active_units,
    bernoulli,
    bits_per_dim,
    discretised_logistic,
    free_bits,
    gaussian,
    importance_bound,
    kl_to_standard_normal,
    log_normal,
    reparameterised,
)

PIXELS = torch.linspace(-1, 1, LEVELS)  # every level that an 8-bit pixel can have


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


# -- pixels ------------------------------------------------------------------------------------------------------------


def test_bernoulli_is_that_of_torch_for_black_and_white() -> None:
    logits, x = drawn(4, 1, 3, 3), drawn(4, 1, 3, 3).sign()
    expected = -Bernoulli(logits=logits).log_prob((x + 1) / 2).flatten(1).sum(1)
    torch.testing.assert_close(bernoulli(logits, x), expected)


def test_bernoulli_of_grey_is_the_mean_over_coins() -> None:
    logits, p = torch.tensor([[1.3]]), 0.3
    white, black = (bernoulli(logits, torch.tensor([[value]])) for value in (1.0, -1.0))
    torch.testing.assert_close(bernoulli(logits, torch.tensor([[2 * p - 1]])), p * white + (1 - p) * black)


def test_bernoulli_still_teaches_where_it_is_surely_wrong() -> None:
    logits = torch.full((1, 1), 50.0, requires_grad=True)
    bernoulli(logits, torch.full((1, 1), -1.0)).sum().backward()
    assert logits.grad is not None and logits.grad.item() == pytest.approx(1)


def test_gaussian_is_that_of_torch() -> None:
    mean, x, log_sigma = drawn(4, 2, 3, 3), drawn(4, 2, 3, 4)[..., :3], torch.tensor(-0.7)
    expected = -Normal(mean, log_sigma.exp()).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(gaussian(mean, x, log_sigma), expected)


def test_the_best_sigma_is_the_root_mean_square_error() -> None:
    """Rybkin et al. 2021, section 3: where a learned σ comes to rest."""
    mean, x = drawn(3, 50), drawn(3, 51)[:, :50]
    log_sigma = (x - mean).square().mean().sqrt().log().requires_grad_()
    gaussian(mean, x, log_sigma).sum().backward()
    assert log_sigma.grad is not None and log_sigma.grad.abs() < 1e-3


@pytest.mark.parametrize("log_s", [-7.0, -3.0, 0.0])
@pytest.mark.parametrize("mean", [-1.0, -0.3, 0.999])
def test_the_levels_of_the_logistic_are_all_there_is(mean: float, log_s: float) -> None:
    nll = discretised_logistic(torch.full((LEVELS, 1), mean), PIXELS[:, None], torch.tensor(log_s))
    assert nll.isfinite().all()
    assert (-nll).exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_a_level_of_the_logistic_is_what_lies_between_its_edges() -> None:
    mean, s, half = 0.13, 0.05, 1 / (LEVELS - 1)
    x = PIXELS.double()
    above = torch.sigmoid((x + half - mean) / s)
    below = torch.sigmoid((x - half - mean) / s)
    above[-1], below[0] = 1, 0
    nll = discretised_logistic(torch.full((LEVELS, 1), mean), PIXELS[:, None], torch.tensor(s).log())
    torch.testing.assert_close(nll.double(), -(above - below).log(), rtol=1e-4, atol=1e-4)


def test_a_density_becomes_bits_of_levels() -> None:
    """Where a Gaussian is wide, level by level its probability is its density times the width of a level."""
    sigma, x = 0.3, PIXELS[100]
    edges = x.double() + torch.tensor([1, -1]) / (LEVELS - 1)
    high, low = Normal(0.1, sigma).cdf(edges)
    nll = gaussian(torch.tensor([[0.1]]), x.reshape(1, 1), torch.tensor(sigma).log()).item()
    assert bits_per_dim(nll, 1, LIKELIHOODS["gaussian"]) == pytest.approx(-math.log2(high - low), abs=1e-4)
    assert bits_per_dim(8 * math.log(2), 1, LIKELIHOODS["logistic"]) == pytest.approx(8)
    assert bits_per_dim(28 * 28 * math.log(2), 28 * 28, LIKELIHOODS["bernoulli"]) == pytest.approx(1)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_row_gives_one_float32_number_an_image(name: str) -> None:
    row = LIKELIHOODS[name]
    y, x = drawn(5, 3, 4, 4).bfloat16(), drawn(5, 3, 4, 4).clamp(-1, 1)
    nll = row.nll(y, x, torch.tensor(-1.0))
    assert nll.shape == (5,) and nll.dtype == torch.float32
    better = row.nll(2 * x.atanh().clamp(-9, 9) if name == "bernoulli" else x.atanh(), x, torch.tensor(-1.0))
    assert (better < nll).all()  # the image itself is the likeliest mean


# -- latents -----------------------------------------------------------------------------------------------------------


def test_kl_is_that_of_torch() -> None:
    mu, log_var = drawn(6, 4), drawn(6, 5)[:, :4]
    expected = kl_divergence(Normal(mu, (log_var / 2).exp()), Normal(torch.zeros(4), torch.ones(4)))
    torch.testing.assert_close(kl_to_standard_normal(mu, log_var), expected)
    assert not kl_to_standard_normal(torch.zeros(2, 3), torch.zeros(2, 3)).any()


def test_log_normal_is_that_of_torch() -> None:
    z, mu, log_var = drawn(2, 6, 4), drawn(6, 4), drawn(6, 5)[:, :4]
    torch.testing.assert_close(log_normal(z, mu, log_var), Normal(mu, (log_var / 2).exp()).log_prob(z).sum(-1))


def test_samples_are_of_the_posterior_and_gradients_flow() -> None:
    mu, log_var = torch.tensor([1.0, -2.0], requires_grad=True), torch.tensor([0.5, -3.0], requires_grad=True)
    z = reparameterised(mu, log_var, drawn(20_000, 2))
    torch.testing.assert_close(z.mean(0), mu, atol=0.03, rtol=0)
    torch.testing.assert_close(z.var(0), log_var.exp(), atol=0.05, rtol=0)
    z.sum().backward()
    assert mu.grad is not None and log_var.grad is not None and log_var.grad.abs().min() > 0


def test_free_bits_ask_nothing_of_units_below_them() -> None:
    kl = torch.tensor([[0.1, 2.0], [0.3, 4.0]], requires_grad=True)
    loss = free_bits(kl, 0.5)
    assert loss.item() == pytest.approx(0.5 + 3)
    loss.backward()
    assert kl.grad is not None and kl.grad.tolist() == [[0, 0.5], [0, 0.5]]
    torch.testing.assert_close(free_bits(kl, 0.0), kl.mean(0).sum())


def test_units_that_vary_are_counted() -> None:
    mu = drawn(500, 3) * torch.tensor([1.0, 0.2, 0.01]) + 5
    assert active_units(mu).item() == 2


def test_the_importance_bound_tightens_to_the_likelihood() -> None:
    """x = z + noise of σ ½: log p(x) is N(x; 0, 1 + ¼) in closed form, whatever q is."""
    x, noise = torch.tensor(0.8), torch.tensor(0.25).log()
    exact = -log_normal(x[None], torch.zeros(1), torch.tensor([1.25]).log()).item()
    mu, log_var = torch.tensor([0.2]), torch.tensor([0.0])  # not the true posterior

    def bound(k: int) -> float:
        z = reparameterised(mu, log_var, drawn(k, 20_000, 1))
        like = log_normal(x[None], z, noise)
        log_w = like + log_normal(z, torch.zeros(1), torch.zeros(1)) - log_normal(z, mu, log_var)
        return importance_bound(log_w).mean().item()

    one, five, many = bound(1), bound(5), bound(100)
    assert one > five + 0.05 > many > exact - 0.01
    assert many == pytest.approx(exact, abs=0.02)


def test_one_sample_of_the_importance_bound_is_the_bound() -> None:
    log_w = drawn(1, 7)
    torch.testing.assert_close(importance_bound(log_w), -log_w[0])
