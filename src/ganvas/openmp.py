"""How OpenMP's threads wait for each other, which it reads from the environment once, when torch is loaded."""

from __future__ import annotations

import os

# Turns of an idle thread's loop before it sleeps. Next to a process that has one of the cores, a longer spin takes the
# core from the thread that it waits for; sleeping at once costs a quiet machine more: `python -m benchmarks.neighbour`.
SPINS = "1000"


def shorten_spinning() -> None:
    """Let idle threads sleep soon, unless the user has chosen how they wait. Without effect once torch is loaded."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
