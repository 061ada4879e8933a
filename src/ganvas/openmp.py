"""How OpenMP's threads wait for each other. Imports nothing, since it has to act before torch is loaded."""

from __future__ import annotations


def limit_spinning() -> None:
    """Placeholder until the branch run lands."""
