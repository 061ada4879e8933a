"""What this machine can do."""

from __future__ import annotations

from .plan import facts


def examine_machine() -> dict[str, object]:
    """See plan.facts; replaced when branch run lands."""
    return facts()
