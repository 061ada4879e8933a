"""What the numbers of a training run mean: a probe measures samples as training goes, rules judge the log."""

from .probe import MIN_ITEMS, SAMPLES, Probe
from .rules import COPIED, EXPLANATIONS, RULES, WINDOW, Finding, Measured, diverged, judge, symptoms

__all__ = ["COPIED", "EXPLANATIONS", "MIN_ITEMS", "RULES", "SAMPLES", "WINDOW", "Finding", "Measured", "Probe"]
__all__ += ["diverged", "judge", "symptoms"]
