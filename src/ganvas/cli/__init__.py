"""The command line: it reads words, calls a verb of `ganvas.api`, and shows the result; without torch or numpy."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Gives the exit status: 0 done, 1 failed while working, 2 the request was wrong.

    Work that Ctrl-C ended, and that was saved, is done.
    """
    from .app import run  # here, so that `ganvas.cli.bars` loads without it

    return run(arguments)
