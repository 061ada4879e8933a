"""Measures the samples of a run during training."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from .. import alpha
from ..data import Dataset
from ..features import Extractor, embed
from ..metrics import Moments, density_coverage, frechet, measurable, nearest

SAMPLES = 512  # of the generator at each measurement, seeds 0, 1, 2, ...
REFERENCE = 2048  # items of the data to compare them with
MIN_ITEMS = 16  # of a data set, for the monitor to judge at all
AXES = 64  # principal axes of the data's features: fewer than SAMPLES, so that a covariance means something
CELLS = 20  # groups of the data whose shares are compared
NEIGHBOURS = 5  # of coverage
OFFSETS = 3  # axes of which the mean of the samples is logged


class Probe:
    """Measures samples against the data, always along the same principal axes of the same items.

    The numbers depend only on the data and the samples, so that a resumed run measures exactly the same.
    """

    def __init__(self, extractor: Extractor, dataset: Dataset) -> None:
        """Takes up to REFERENCE of the data's items, which must have MIN_ITEMS or more."""
        self.extractor = extractor
        order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:REFERENCE]
        features = torch.cat([embed(extractor, dataset.at(rows).x) for rows in order.split(SAMPLES)]).double()
        self.mean = features.mean(0)
        values, vectors = torch.linalg.eigh((features - self.mean).T @ (features - self.mean) / (len(features) - 1))
        self.axes = vectors.flip(1)[:, :AXES]  # (D, K)
        self.deviations = values.flip(0)[:AXES].clamp(min=1e-12).sqrt()  # (K,)
        real = (features - self.mean) @ self.axes  # (N, K)
        self.real, self.moments = real[:SAMPLES], Moments.of(real)
        self.spread = torch.pdist(self.real).mean().clamp(min=1e-12)
        self.centres = k_means(real)
        self.entropy = max(1e-12, entropy(nearest(real, self.centres)[1]))
        # In the plane every sample is near some point of a large set: copying has a meaning only for images.
        self.items = real if len(dataset) <= REFERENCE and len(dataset.shape) == 3 else None
        self.gaps = None if self.items is None else nearest(self.items, self.items, 2)[0][:, 1]

    def measure(self, samples: Tensor) -> dict[str, float]:
        """The `monitor/...` numbers of a generator's samples: (N, C, H, W) in [-1, 1] or (N, D).

        - distance: the Fréchet distance over the data's variance: 0 is perfect, 1 is that of the data's mean alone.
        - coverage: the share of real items with a sample among their neighbours (Naeem et al. 2020).
        - diversity: the mean distance between two samples over that between two real items.
        - entropy: that of the samples' shares among CELLS groups of the data, over the data's own (after the bins of
          Richardson and Weiss 2018).
        - offset_1, ...: how far the samples' mean lies from the data's, in standard deviations along each axis.
        - copies: the share of samples less than half as far from an item as its nearest other item is; only for
          images, and data small enough to be copied.

        For samples that are not finite, or too large to measure, there is only the distance, which is infinite.
        """
        seen = alpha.possible(samples) if self.extractor.images else samples  # as images are saved
        fake = (embed(self.extractor, seen).double() - self.mean) @ self.axes
        if not (measurable(samples) and measurable(fake)):
            return {"monitor/distance": inf}
        figures = {
            "distance": frechet(self.moments, Moments.of(fake)) / self.deviations.square().sum().item(),
            "coverage": density_coverage(self.real, fake, NEIGHBOURS).coverage,
            "diversity": (torch.pdist(fake).mean() / self.spread).item(),
            "entropy": entropy(nearest(fake, self.centres)[1]) / self.entropy,
        }
        offsets = (fake.mean(0) / self.deviations)[:OFFSETS].tolist()
        figures |= {f"offset_{i}": offset for i, offset in enumerate(offsets, start=1)}
        if self.items is not None and self.gaps is not None:
            distance, item = nearest(fake, self.items)
            figures["copies"] = (distance[:, 0] < self.gaps[item[:, 0]] / 2).double().mean().item()
        return {f"monitor/{name}": value for name, value in figures.items()}


def k_means(features: Tensor, rounds: int = 20) -> Tensor:
    """The centres (CELLS, D) of features (N, D), by Lloyd's algorithm from the first items."""
    centres = features[:CELLS].clone()
    for _ in range(rounds):
        cell = nearest(features, centres)[1][:, 0]
        counts = torch.bincount(cell, minlength=len(centres))
        sums = torch.zeros_like(centres).index_add_(0, cell, features)
        centres[counts > 0] = sums[counts > 0] / counts[counts > 0, None]
    return centres


def entropy(cells: Tensor) -> float:
    """The entropy of the shares of integer cells, in nats."""
    shares = torch.bincount(cells.flatten()).double() / cells.numel()
    return max(0.0, -torch.xlogy(shares, shares).sum().item())  # 0 - 0 is -0
