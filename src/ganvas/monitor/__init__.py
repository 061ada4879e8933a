"""What the numbers of a training run mean: the probe that measures samples as they go, and the judge of the log."""

from .probe import LEAST, SAMPLES, Probe
from .rules import COPIED, RULES, VAGUE, WINDOW, WORDS, Finding, Line, Looks, diverged, judge, symptoms

__all__ = [
    "COPIED",
    "LEAST",
    "RULES",
    "SAMPLES",
    "VAGUE",
    "WINDOW",
    "WORDS",
    "Finding",
    "Line",
    "Looks",
    "Probe",
    "diverged",
    "judge",
    "symptoms",
]
