"""The Fréchet distance: means and covariances gathered batch by batch, and how far two of them are apart."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import RequestError
from .inputs import at_once, check_features, check_finite, double


class Moments:
    """The mean and the covariance of features that arrive in batches; its memory does not grow with their number.

    Batches are merged about their own means (Chan, Golub & LeVeque 1983), so that features whose mean is large compared
    with their spread lose no precision.

    dim: D, the number of features.
    device: where the (D, D) sums are kept, in float64: any but "mps", which has none.
    """

    def __init__(self, dim: int, device: torch.device | str = "cpu") -> None:
        self.dim, self.count = dim, 0
        self._mean = torch.zeros(dim, dtype=torch.float64, device=device)
        self._scatter = torch.zeros(dim, dim, dtype=torch.float64, device=device)  # Σ (x − μ)(x − μ)ᵀ

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """The moments of features (N, D), on their own device where it has float64."""
        found = cls(features.shape[1], double(features[:0]).device)
        found.update(features)
        return found

    @property
    def mean(self) -> Tensor:
        """μ, (D,) float64. Raises RequestError before the first sample."""
        self._require(1)
        return self._mean.clone()

    @property
    def covariance(self) -> Tensor:
        """Σ, (D, D) float64, unbiased: divided by N − 1. Raises RequestError before the second sample."""
        self._require(2)
        return self._scatter / (self.count - 1)

    def update(self, features: Tensor) -> None:
        """Add a batch of features, (N, D), from any device. Where that raises, nothing was added."""
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise RequestError(f"cannot add features of shape {tuple(features.shape)}", f"give (N, {self.dim})")
        check_finite("features", features)
        if not len(features):
            return
        for part in features.split(at_once(2 * self.dim)):
            x, total = double(part).to(self._mean.device), self.count + len(part)
            mean = x.mean(0)
            x, shift = x - mean, mean - self._mean
            self._scatter.addmm_(x.T, x).addr_(shift, shift, alpha=self.count * len(x) / total)
            self._mean += shift * (len(x) / total)
            self.count = total

    def _require(self, least: int) -> None:
        if self.count < least:
            raise RequestError(f"there are moments of {self.count} samples only", f"add at least {least}")


def frechet(real: Moments, fake: Moments) -> float:
    """The squared 2-Wasserstein distance between the Gaussians of two sets of features.

    |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½. Heusel et al. 2017 call it FID when the features are Inception's. With
    Σ₁ = AAᵀ the product has the eigenvalues of the symmetric AᵀΣ₂A, so that its root needs eigenvalues only, and
    singular covariances (fewer samples than features, constant features) are no special case.

    Gives the distance in squared units of the features, at least 0. Each set has at least two samples.
    """
    if real.dim != fake.dim:
        raise RequestError(f"cannot compare {real.dim} features with {fake.dim}", "measure both with the same network")
    mu1, mu2 = real.mean, fake.mean.to(real.mean.device)
    sigma1, sigma2 = real.covariance, fake.covariance.to(mu1.device)
    a = _factor(sigma1)
    cross = torch.linalg.eigvalsh(a.T @ sigma2 @ a).clamp(min=0).sqrt().sum()
    distance = (mu1 - mu2).square().sum() + sigma1.trace() + sigma2.trace() - 2 * cross
    return max(0.0, distance.item())  # rounding can take the distance of equal sets a little below 0


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """The Fréchet distance (see `frechet`) of two whole sets of features, (N, D) and (M, D)."""
    check_features(real, fake, least=2)
    return frechet(Moments.of(real), Moments.of(fake))


def _factor(sigma: Tensor) -> Tensor:
    """A (D, R) with AAᵀ = Σ, of a positive semi-definite Σ (D, D) of rank R."""
    factor, failed = torch.linalg.cholesky_ex(sigma)
    if not failed:
        return factor
    values, vectors = torch.linalg.eigh(sigma)
    kept = values > len(sigma) * torch.finfo(sigma.dtype).eps * values[-1].clamp(min=0)  # the others are rounding
    return vectors[:, kept] * values[kept].sqrt()
