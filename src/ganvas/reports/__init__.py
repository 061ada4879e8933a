"""`report.html`: everything about a run, in one file that opens anywhere without a network."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

from .. import files
from ..errors import WorkError
from . import page
from .content import describe

logger = logging.getLogger(__name__)

__all__ = ["attempt_report", "write_report"]


def write_report(run_dir: str | Path) -> Path:
    """Write `report.html` into a run directory, from the files there alone, and return its path.

    It can be called at any time, also during training; it replaces an older report as a whole.
    Raises RequestError where there is no run or its files are damaged, WorkError where the page cannot be written.
    """
    run = Path(run_dir)
    content = describe(run)
    try:
        return page.write(run / files.REPORT, "run.html", content)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise WorkError(
            f"cannot write {run / files.REPORT}: {reason}; fix that, then `ganvas report {shlex.quote(str(run))}`"
        ) from error


def attempt_report(run_dir: str | Path) -> Path | None:
    """As `write_report`, for the end of training: any error is logged as a warning."""
    try:
        return write_report(run_dir)
    except Exception as error:  # a page must not end a run
        logger.warning(
            "there is no report of %s (%s: %s); `ganvas report` tries again", run_dir, type(error).__name__, error
        )
        return None
