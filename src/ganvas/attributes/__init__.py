"""Attributes: what pictures show, as judged by a labeller, a classifier or words, and directions that change it."""

from __future__ import annotations

from .finding import Chosen, Found, Sampled, find, fit, sampled
from .judges import Classes, Judge, Labeller, Scores, Words, parse_words
from .labeller import learn
from .source import Source, open_judge
from .table import Column, read_labels, table_directions

__all__ = [
    "Chosen",
    "Classes",
    "Column",
    "Found",
    "Judge",
    "Labeller",
    "Sampled",
    "Scores",
    "Source",
    "Words",
    "find",
    "fit",
    "learn",
    "open_judge",
    "parse_words",
    "read_labels",
    "sampled",
    "table_directions",
]
