"""Precision and recall, density and coverage, from nearest neighbours.

Distances are taken a block at a time, so that memory does not grow with the number of pairs. They are float64, with
what rounding leaves of the distance between equal rows set to 0: an exact copy is at distance 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import RequestError
from .inputs import check_features, double

ROWS, COLUMNS = 512, 1024  # of a block: 4 MB, which fits into a cache
CENTRE = 64  # rows whose median distances are taken about
NOISE = 2.0**-46  # of |x|² + |y|²: below this, distances between float32 values are rounding


class PrecisionRecall(NamedTuple):
    """The result of `precision_recall`."""

    precision: float  # the share of samples within the data's manifold: quality
    recall: float  # the share of the data within the samples' manifold: variety


class DensityCoverage(NamedTuple):
    """The result of `density_coverage`."""

    density: float  # how densely the data's neighbourhoods are populated; 1 is the data's own density, more is possible
    coverage: float  # the share of the data with a sample in its neighbourhood


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkäänniemi et al. 2019).

    A set's manifold is the union of balls about its members, each as large as the distance to the k-th nearest other
    member, rims included. Precision is the share of samples in the manifold of the data, recall the share of the data
    in the manifold of the samples.

    real, fake: features of the data (N, D) and of the samples (M, D), N and M > k. The figures depend on N and M:
        compare at equal numbers only.
    k: which neighbour bounds a ball; 3 in the paper.
    """
    check_features(real, fake, least=k + 1)
    real_radius, fake_radius = _squared_radii(real, k), _squared_radii(fake, k)
    precise = torch.zeros(len(fake), dtype=torch.bool, device=fake_radius.device)
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real_radius.device)
    for rows, columns, squared in _blocks(real, fake):
        precise[columns] |= (squared <= real_radius[rows, None]).any(0)
        recalled[rows] |= (squared <= fake_radius[columns]).any(1)
    return PrecisionRecall(precise.double().mean().item(), recalled.double().mean().item())


def density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> DensityCoverage:
    """Density and coverage (Naeem et al. 2020), with the balls of `precision_recall` about the data alone.

    Density is the number of the data's balls that hold a sample, over k: unlike precision, one outlier of the data
    does not make everything near it count. Coverage is the share of the data's balls that hold a sample. For
    samples of the data's own distribution density is 1 and coverage 1 − 2⁻ᵏ on average, when N = M is large.

    real, fake: features of the data (N, D), N > k, and of the samples (M, D), M ≥ 1.
    k: which neighbour bounds a ball; 5 in the paper.
    """
    check_features(real, fake)
    radius = _squared_radii(real, k)
    covered = torch.zeros(len(real), dtype=torch.bool, device=radius.device)
    within = 0
    for rows, _, squared in _blocks(real, fake):
        inside = squared <= radius[rows, None]
        within += int(inside.sum())
        covered[rows] |= inside.any(1)
    return DensityCoverage(within / (k * len(fake)), covered.double().mean().item())


def nearest(query: Tensor, reference: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k nearest rows of `reference` (M, D), M ≥ k, to every row of `query` (N, D), by Euclidean distance.

    Gives distances, (N, k) float64 in the units of the features, nearest first, and rows of `reference`, (N, k) int64.
    A row that is in both is its own nearest, at distance 0. Distances below about 1e-7 of the features' spread are 0.
    """
    _check_k(k)
    check_features(reference, query)
    squared, rows = _nearest(query, reference, k)
    return squared.sqrt(), rows


def _nearest(query: Tensor, reference: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The squared distances (N, k) and rows (N, k) of the k nearest."""
    if len(reference) < k:
        raise RequestError(f"cannot find {k} nearest neighbours among {len(reference)} rows", f"give at least {k} rows")
    device = double(reference[:0]).device
    best = torch.full((len(query), k), torch.inf, dtype=torch.float64, device=device)
    index = torch.zeros((len(query), k), dtype=torch.int64, device=device)
    for rows, columns, squared in _blocks(query, reference):
        near, column = squared.topk(min(k, squared.shape[1]), largest=False)
        near, column = torch.cat([best[rows], near], 1), torch.cat([index[rows], column + columns.start], 1)
        best[rows], order = near.topk(k, largest=False)
        index[rows] = column.gather(1, order)
    return best, index


def _squared_radii(x: Tensor, k: int) -> Tensor:
    """The squared distance of every row to its k-th nearest other row, (N,)."""
    _check_k(k)
    return _nearest(x, x, k + 1)[0][:, -1]  # its nearest is itself


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """The squared distances between x (N, D) and y (M, D): (rows, columns, distances of these rows and columns)."""
    centre = double(y[:CENTRE]).sort(0).values  # |x|² + |y|² − 2xᵀy loses the least near 0
    origin = centre[len(centre) // 2]  # the median: a single outlier would move a mean
    for i in range(0, len(x), ROWS):
        a = double(x[i : i + ROWS]) - origin
        for j in range(0, len(y), COLUMNS):
            b = double(y[j : j + COLUMNS]) - origin
            sums = a.square().sum(1)[:, None] + b.square().sum(1)
            squared = torch.addmm(sums, a, b.T, alpha=-2)
            yield slice(i, i + len(a)), slice(j, j + len(b)), squared.masked_fill_(squared < NOISE * sums, 0)


def _check_k(k: int) -> None:
    if k < 1:
        raise RequestError(f"there is no {k}-th nearest neighbour", "take k of at least 1")
