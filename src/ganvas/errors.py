"""The two ways a command can fail, and the sentence that helps: what, which value, how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RequestError(ValueError):
    """The request was wrong (exit status 2): an unknown name, an impossible option, missing data."""


class WorkError(RuntimeError):
    """The request was right but the work failed (exit status 1): a full disk, a diverged loss."""


def unknown(kind: str, name: str, known: Iterable[str]) -> RequestError:
    """The error for a name that is not among `known`, with the nearest right ones."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=3, cutoff=0.4)
    mend = f"did you mean {' or '.join(near)}?" if near else f"choose from: {', '.join(choices)}"
    return RequestError(f"unknown {kind} {name!r}; {mend}")
