"""Inversion: the latents of given pictures, and what the distances mean for a model."""

from __future__ import annotations

from .calibration import Calibration, comparisons, encode_guesses, open_perceptual
from .search import Estimate, PerceptualLoss, Search, distance, project

__all__ = ["Calibration", "Estimate", "PerceptualLoss", "Search", "comparisons", "distance", "encode_guesses"]
__all__ += ["open_perceptual", "project"]
