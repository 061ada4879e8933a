"""Attributes: what pictures show, as judged by a labeller, a classifier or words, and directions that change it."""

from __future__ import annotations

from .finding import find, fit
from .judges import Labeller, Words
from .labeller import learn
from .source import Source

__all__ = ["Labeller", "Source", "Words", "find", "fit", "learn"]
