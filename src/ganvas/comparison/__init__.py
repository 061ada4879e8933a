"""The loss table, measured: chosen objectives, several seeds each, everything else the same for all."""

from .comparison import Comparison
from .work import Outcome

__all__ = ["Comparison", "Outcome"]
