"""The kernel distance: a maximum mean discrepancy, called KID when the features are Inception's."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import RequestError
from .estimates import Estimate
from .inputs import at_once, check_features, double


def kernel_distance(
    real: Tensor, fake: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> Estimate:
    """The kernel distance of Bińkowski et al. 2018 (KID), as the mean of `mmd` over random subsets.

    Unlike the Fréchet distance it is unbiased: its expectation is the same for few samples as for many, and 0 for
    samples of the same distribution, so that it can come out below 0.

    Subsets share samples, so that the deviation between them over √subsets would underestimate the error. Two subsets
    of m out of n samples are correlated by m/n; their variance s² then makes the variance of the mean
    s² (1/subsets + m/(n − m)). That is exact for the mean of n samples and cautious for equal distributions.

    real, fake: features of the data (N, D) and of the samples (M, D), at least 4 of each.
    subsets: how many, at least 2.
    subset_size: samples of each set in a subset, at least 2; at most half of the smaller set is taken.

    Gives the squared distance, without unit (the kernel divides by D), and its standard error.
    """
    if subsets < 2 or subset_size < 2:
        raise RequestError(f"cannot take {subsets} subsets of {subset_size} samples", "take at least 2 of at least 2")
    check_features(real, fake, least=4)
    n = min(len(real), len(fake))
    m = min(subset_size, n // 2)
    generator = torch.Generator().manual_seed(seed)

    def choose(x: Tensor) -> Tensor:
        return x[torch.randperm(len(x), generator=generator)[:m].to(x.device)]

    values = torch.tensor([mmd(choose(real), choose(fake)) for _ in range(subsets)], dtype=torch.float64)
    return Estimate(values.mean().item(), values.std().item() * math.sqrt(1 / subsets + m / (n - m)))


def mmd(real: Tensor, fake: Tensor) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, lemma 6), of whole sets.

    The kernel is k(x, y) = (xᵀy/D + 1)³, of features (N, D) and (M, D), at least 2 of each.
    """
    check_features(real, fake, least=2)
    x, y = double(real), double(fake)
    return (_within(x) + _within(y) - 2 * _kernel(x, y) / (len(x) * len(y))).item()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """The sum of all k(xᵢ, yⱼ), some rows at a time."""
    parts = x.split(at_once(8 * len(y)))
    return torch.stack([((part @ y.T / x.shape[1] + 1) ** 3).sum() for part in parts]).sum()


def _within(x: Tensor) -> Tensor:
    """The mean of k(xᵢ, xⱼ) over i ≠ j."""
    own = ((x.square().sum(1) / x.shape[1] + 1) ** 3).sum()
    return (_kernel(x, x) - own) / (len(x) * (len(x) - 1))
