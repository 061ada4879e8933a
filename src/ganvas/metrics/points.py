"""Figures of points in the plane: the modes of a mixture that they reach, the curve that they follow."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import RequestError
from .inputs import check_finite, double
from .neighbours import nearest


class ModeReport(NamedTuple):
    """The result of `mode_report`."""

    modes: int  # how many of the K modes have at least one high-quality sample
    high_quality: float  # the share of samples within the radius of their nearest mode
    counts: Tensor  # (K,) int64, high-quality samples a mode
    reverse_kl: float  # KL(samples over modes ‖ uniform), nats; every sample belongs to its nearest mode


def mode_report(points: Tensor, centres: Tensor, sigma: float, radius: float = 3.0) -> ModeReport:
    """Which modes of an even mixture of Gaussians the samples reach, and how closely.

    The protocol of VEEGAN (Srivastava et al. 2017), who draw 2,500 samples: a sample is of high quality within three
    standard deviations of its nearest mode, and a mode is captured when it is the nearest of at least one
    high-quality sample. The reverse KL divergence over modes is that of PacGAN (Lin et al. 2018).

    points: samples, (N, D).
    centres: the modes' means, (K, D).
    sigma: the standard deviation of every mode, in the units of the points.
    radius: how many standard deviations still count as high quality.
    """
    if points.ndim != 2 or points.shape[1:] != centres.shape[1:] or not points.numel() * centres.numel():
        raise RequestError(
            f"cannot assign points of shape {tuple(points.shape)} to centres of shape {tuple(centres.shape)}",
            "give (N, D) and (K, D) with at least one row each",
        )
    if not 0 < radius * sigma < math.inf:
        raise RequestError(f"no sample is within {radius} times {sigma} of a mode", "give a positive radius and sigma")
    check_finite("points", points)
    k = len(centres)
    distance, mode = (column[:, 0] for column in nearest(points, centres))  # (N,), (N,)
    good = distance <= radius * sigma
    counts = torch.bincount(mode[good], minlength=k)
    share = torch.bincount(mode, minlength=k).double() / len(points)
    return ModeReport(
        modes=int((counts > 0).sum()),
        high_quality=good.double().mean().item(),
        counts=counts,
        reverse_kl=max(0.0, torch.xlogy(share, share * k).sum().item()),
    )


class CurveReport(NamedTuple):
    """The result of `curve_report`."""

    error: float  # mean |y − sin x|
    coverage: float  # the share of bins of x in [0, 2π] with at least one sample


def curve_report(points: Tensor, bins: int = 40) -> CurveReport:
    """How closely points (N, 2) follow (x, sin x), and how much of x in [0, 2π] they cover, in `bins` equal parts."""
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise RequestError(
            f"cannot measure points of shape {tuple(points.shape)}", "give (N, 2) with at least one point"
        )
    if bins < 1:
        raise RequestError(f"cannot divide the curve into {bins} bins", "take at least 1")
    check_finite("points", points)
    x, y = double(points).unbind(1)
    covered = torch.histc(x, bins=bins, min=0, max=2 * math.pi) > 0  # values outside the range are left out
    return CurveReport(error=(y - x.sin()).abs().mean().item(), coverage=covered.double().mean().item())
