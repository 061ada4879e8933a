"""Two-dimensional points, in the units of their data: the usual first test of a GAN."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .dataset import Dataset, Modes, Origin
from .options import Options

COUNT = 50_000


def _mixture(name: str, centres: np.ndarray, sigma: float, rng: np.random.Generator) -> Dataset:
    labels = rng.integers(len(centres), size=COUNT)
    items = _float32(centres[labels] + sigma * rng.normal(size=(COUNT, 2)))
    names, modes = tuple(map(str, range(len(centres)))), Modes(_float32(centres), sigma)
    return Dataset(name, items, torch.from_numpy(labels), names, modes=modes, origin=Origin("drawn"))


def _float32(points: np.ndarray) -> Tensor:
    return torch.from_numpy(points.astype(np.float32))


def ring(rng: np.random.Generator) -> Dataset:
    """Eight Gaussians of sigma 0.01 on the unit circle, labelled by mode: 2D-ring of VEEGAN and PacGAN
    (arXiv 1705.07761, 1712.04086).
    """
    angles = 2 * math.pi * np.arange(8) / 8
    return _mixture("ring", np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.01, rng)


def grid(rng: np.random.Generator) -> Dataset:
    """25 Gaussians of sigma 0.05 at (-4 + 2i, -4 + 2j), labelled by mode: 2D-grid of the same papers."""
    ticks = -4.0 + 2.0 * np.arange(5)
    return _mixture("grid", np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(25, 2), 0.05, rng)


def sine(rng: np.random.Generator) -> Dataset:
    """1,024 points (x, sin x), x uniform in [0, 2 pi]."""
    x = 2 * math.pi * rng.random(1024)
    return Dataset("sine", _float32(np.stack([x, np.sin(x)], axis=1)), origin=Origin("drawn"))


def spiral(rng: np.random.Generator) -> Dataset:
    """An Archimedean spiral of two turns in the unit disc, evenly spread along its length, with noise of sigma 0.01."""
    radius = np.sqrt(rng.random(COUNT))  # length grows as the radius squared
    angle = 4 * math.pi * radius
    curve = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return Dataset("spiral", _float32(curve + 0.01 * rng.normal(size=curve.shape)), origin=Origin("drawn"))


def read_points(name: str, options: Options) -> Dataset:
    """The points of a function of this module, drawn for the seed and the split."""
    draw = {"sine": sine, "ring": ring, "grid": grid, "spiral": spiral}[name]
    return draw(np.random.default_rng((options.seed, options.split == "test")))
