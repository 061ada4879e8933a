"""What a variational autoencoder minimises: pure functions in nats, symbols as in the papers, float32 throughout.

log p(x) ≥ E_q(z|x)[log p(x|z)] − KL(q(z|x) ‖ p(z)), Kingma and Welling 2014. q is a Gaussian of mean μ and variance σ²,
each (N, L), and p(z) the standard normal. Images x (N, ...) are in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

LEVELS = 256  # values of a pixel of an 8-bit image

# -- -log p(x|z) -------------------------------------------------------------------------------------------------------


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """-Σ p log π + (1 - p) log(1 - π), p = (x + 1) / 2 and π = σ(logits): (N,).

    For a grey pixel it is the mean over the two values of a coin with probability p: the bound is then one of images
    whose pixels are such coins.
    """
    p = (x.float() + 1) / 2
    return binary_cross_entropy_with_logits(logits.float(), p, reduction="none").flatten(1).sum(1)


def gaussian(mean: Tensor, x: Tensor, log_sigma: Tensor) -> Tensor:
    """-Σ log N(x; mean, σ²), one σ for all pixels: (N,). With a learned σ it is the σ-VAE, Rybkin et al. 2021."""
    error = (x.float() - mean.float()) * (-log_sigma).exp()
    return (error.square() / 2 + log_sigma + math.log(2 * math.pi) / 2).flatten(1).sum(1)


def discretised_logistic(mean: Tensor, x: Tensor, log_s: Tensor, levels: int = LEVELS) -> Tensor:
    """-Σ log(F(x⁺) - F(x⁻)), F the logistic distribution of scale s, x± the edges of a level: (N,), Kingma et al. 2016.

    The lowest level reaches to -∞ and the highest to ∞, so that all probabilities sum to 1. σ(a) - σ(b) is computed as
    σ(a) σ(-b) (1 - exp(b - a)), which does not subtract rounded numbers.
    """
    half, x = 1 / (levels - 1), x.float()
    scale = log_s.exp()
    below = logsigmoid((x - mean.float() + half) / scale)
    above = logsigmoid((mean.float() - x + half) / scale)
    inner = below + above + torch.log(-torch.expm1(-2 * half / scale))
    log_p = torch.where(x < half - 1, below, torch.where(x > 1 - half, above, inner))
    return -log_p.flatten(1).sum(1)


class Likelihood(NamedTuple):
    """A row: the distribution of pixels, given the decoder's output before its last function."""

    out: str  # that function, of nets.blocks.OUTPUTS
    nll: Callable[[Tensor, Tensor, Tensor], Tensor]  # (before `out`, x, log of the scale) -> (N,)
    level: float = 0.0  # nats a pixel that turn a density into the probability of one of LEVELS levels
    scaled: bool = True  # whether it has a scale


LIKELIHOODS: dict[str, Likelihood] = {
    "bernoulli": Likelihood("sigmoid", lambda y, x, s: bernoulli(y, x), scaled=False),
    "gaussian": Likelihood("tanh", lambda y, x, s: gaussian(y.float().tanh(), x, s), math.log((LEVELS - 1) / 2)),
    "logistic": Likelihood("tanh", lambda y, x, s: discretised_logistic(y.float().tanh(), x, s)),
}


def bits_per_dim(nll: float, dims: int, row: Likelihood) -> float:
    """-log p(x) in nats, of `dims` pixels -> bits per pixel of 8-bit images.

    Exact for the discretised logistic; a density counts as constant within a level. For the Bernoulli likelihood it is
    bits per coin (see `bernoulli`).
    """
    return (nll / dims + row.level) / math.log(2)


# -- q(z|x) ------------------------------------------------------------------------------------------------------------


def kl_to_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½(μ² + σ² - 1 - log σ²) of each unit, (N, L): Kingma and Welling 2014, appendix B."""
    mu, log_var = mu.float(), log_var.float()
    return (mu.square() + log_var.exp() - 1 - log_var) / 2


def reparameterised(mu: Tensor, log_var: Tensor, epsilon: Tensor) -> Tensor:
    """z = μ + σ ε, ε ~ N(0, I): a sample of q through which gradients flow."""
    return mu + (log_var / 2).exp() * epsilon


def free_bits(kl: Tensor, least: float) -> Tensor:
    """Σ_j max(λ, mean of KL_j over the batch), a scalar: no unit gains by less than λ. Kingma et al. 2016."""
    return kl.mean(0).clamp(min=least).sum()


def active_units(mu: Tensor, threshold: float = 0.01) -> Tensor:
    """How many units have means with a variance above 0.01 over the items of (N, L), a scalar: Burda et al. 2016."""
    return (mu.float().var(0) > threshold).sum()


def log_normal(z: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; μ, σ²), summed over the units: (..., L) -> (...)."""
    z, mu, log_var = z.float(), mu.float(), log_var.float()
    return -((z - mu).square() * (-log_var).exp() + log_var + math.log(2 * math.pi)).sum(-1) / 2


def importance_bound(log_w: Tensor) -> Tensor:
    """-log(Σ w / K) of the weights w = p(x|z) p(z) / q(z|x) of K samples: (K, N) -> (N,), Burda et al. 2016.

    An upper bound of -log p(x) in expectation, tighter for larger K.
    """
    return math.log(len(log_w)) - log_w.logsumexp(0)
