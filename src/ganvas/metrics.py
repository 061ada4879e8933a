"""How far samples are from the data: pure functions of features, points and labels.

Sums are taken in float64, so that a figure does not depend on the order of the samples or on the device.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .errors import RequestError, WorkError


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """The squared 2-Wasserstein distance between the Gaussians fitted to two sets of features.

    |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁^½ Σ₂ Σ₁^½)^½, with the unbiased covariances. Heusel et al. 2017 call it
    FID when the features are Inception's. The product is symmetric, so its root needs eigenvalues only, and
    singular covariances (fewer samples than features, constant features) are no special case.

    Args:
        real: features of the data, (N, D), N ≥ 2.
        fake: features of the samples, (M, D), M ≥ 2.

    Returns:
        The distance, in squared units of the features; at least 0.

    Raises:
        RequestError: the shapes do not match or there are fewer than two rows.
        WorkError: a feature is not finite.
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or min(len(real), len(fake)) < 2:
        raise RequestError(
            f"cannot compare features of shapes {tuple(real.shape)} and {tuple(fake.shape)}; "
            "give (N, D) and (M, D) with at least two rows each"
        )
    mu1, sigma1 = _gaussian(real)
    mu2, sigma2 = _gaussian(fake)
    root1 = _sqrt(sigma1)
    cross = torch.linalg.eigvalsh(root1 @ sigma2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mu1 - mu2).square().sum() + sigma1.trace() + sigma2.trace() - 2 * cross
    if not distance.isfinite():
        raise WorkError("the Fréchet distance is not finite; look for NaN or infinite values among the samples")
    return max(0.0, distance.item())  # rounding can take the distance of equal sets a little below 0


def _gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (D,) and the covariance (D, D) of features (N, D)."""
    x = features.detach().double()
    mu = x.mean(0)
    x = x - mu
    return mu, x.T @ x / (len(x) - 1)


def _sqrt(sigma: Tensor) -> Tensor:
    """The symmetric root of a positive semi-definite matrix (D, D)."""
    if not sigma.isfinite().all():
        raise WorkError("the features have no covariance; look for NaN or infinite values among the samples")
    values, vectors = torch.linalg.eigh(sigma)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


class ModeReport(NamedTuple):
    """What `mode_report` found."""

    modes: int  # how many of the K modes have at least one high-quality sample
    high_quality: float  # the share of samples within the radius of their nearest mode
    counts: Tensor  # (K,) int64, high-quality samples a mode
    reverse_kl: float  # KL(samples over modes ‖ uniform), nats; every sample counts for its nearest mode


def mode_report(points: Tensor, centres: Tensor, sigma: float, radius: float = 3.0) -> ModeReport:
    """Which modes of an even mixture of Gaussians the samples reach, and how well.

    The protocol of VEEGAN (Srivastava et al. 2017), who draw 2,500 samples: a sample is of high quality within three
    standard deviations of its nearest mode, and a mode is captured when it is the nearest of at least one
    high-quality sample. The reverse KL divergence over modes is that of PacGAN (Lin et al. 2018).

    Args:
        points: samples, (N, D).
        centres: the modes' means, (K, D).
        sigma: the standard deviation of every mode, in the units of the points.
        radius: how many standard deviations still count as high quality.

    Raises:
        RequestError: the shapes do not match, or there is no sample.
    """
    if points.ndim != 2 or centres.ndim != 2 or points.shape[1] != centres.shape[1] or not len(points):
        raise RequestError(
            f"cannot assign points of shape {tuple(points.shape)} to centres of shape {tuple(centres.shape)}; "
            "give (N, D) and (K, D) with at least one point"
        )
    k = len(centres)
    distance, nearest = torch.cdist(points.detach().double(), centres.double()).min(dim=1)  # (N,), (N,)
    good = distance <= radius * sigma
    counts = torch.bincount(nearest[good], minlength=k)
    share = torch.bincount(nearest, minlength=k).double() / len(points)
    return ModeReport(
        modes=int((counts > 0).sum()),
        high_quality=good.double().mean().item(),
        counts=counts,
        reverse_kl=max(0.0, torch.xlogy(share, share * k).sum().item()),
    )


class CurveReport(NamedTuple):
    """What `curve_report` found."""

    error: float  # mean |y − sin x|
    coverage: float  # the share of bins of x in [0, 2π] with at least one sample


def curve_report(points: Tensor, bins: int = 40) -> CurveReport:
    """How closely points (N, 2) follow (x, sin x), and how much of x in [0, 2π] they cover.

    Raises:
        RequestError: the points are not (N, 2), or there is none.
    """
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise RequestError(f"cannot judge points of shape {tuple(points.shape)}; give (N, 2) with at least one point")
    x, y = points.detach().double().unbind(1)
    covered = torch.histc(x, bins=bins, min=0, max=2 * math.pi) > 0  # values outside the range are left out
    return CurveReport(error=(y - x.sin()).abs().mean().item(), coverage=covered.double().mean().item())
