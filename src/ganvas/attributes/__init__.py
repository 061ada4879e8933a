"""Attributes: what pictures show, as judged by a labeller, a classifier or words, and directions that change it."""

from __future__ import annotations

from .finding import Chosen, Found, Sampled, find, fit, sampled
from .judges import Classes, Judge, Labeller, Scores, Words
from .labeller import learn
from .table import Column, read_labels

__all__ = [
    "Chosen",
    "Classes",
    "Column",
    "Found",
    "Judge",
    "Labeller",
    "Sampled",
    "Scores",
    "Words",
    "find",
    "fit",
    "learn",
    "read_labels",
    "sampled",
]
