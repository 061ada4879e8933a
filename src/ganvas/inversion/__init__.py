"""From pictures to latents: the search, and what its distances mean for a model."""

from __future__ import annotations

from .calibration import Calibration, comparisons, guesses, open_perceptual
from .search import Estimate, PerceptualLoss, Search, distance, project

__all__ = [
    "Calibration",
    "Estimate",
    "PerceptualLoss",
    "Search",
    "comparisons",
    "distance",
    "guesses",
    "open_perceptual",
    "project",
]
