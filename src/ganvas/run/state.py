"""Where a run stands: what a session moves on, and what its watch reads."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import files, recipes, records
from ..errors import WorkError
from ..plan import Plan
from . import checkpoint
from .budget import Budget
from .folder import resumption


class RunState:
    """The directory of a run, its record, and how far it has trained."""

    def __init__(self, path: str | Path) -> None:
        """Read the record of the run at `path`. Raises RequestError where there is none."""
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.record = records.read_record(self.path)
        self.recipe: str = self.record["recipe"]
        self.options = recipes.from_json(self.recipe, self.record["options"])
        self.budget = Budget(**self.record["budget"])
        self.step, self.seconds = 0, 0.0
        self.sums: Mapping[str, tuple[float, int]] = {}  # of the statistics since the last line of the log

    @property
    def plan(self) -> Plan:
        """How the run computes."""
        return Plan(**self.record["plan"], threads=self.record.get("threads", 0))

    @property
    def rollbacks(self) -> list[dict[str, Any]]:
        """Each return after a finding: its kind, its step, the step returned `to`, and the seconds spent until then."""
        return self.record["rollbacks"]

    @property
    def data_name(self) -> str:
        """The data as it was asked for, or the name of what came from memory and is kept with the run."""
        data = self.record["data"]
        inside = not (data.get("relative") or "..").startswith("..")
        return data["name"] if inside else self.options.data

    @property
    def survivor(self) -> str:
        """The checkpoint to return to, in words."""
        saved = checkpoint.steps(self.checkpoints)
        return f"the last good checkpoint is {saved[0]}" if saved else "there was no checkpoint yet"

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turns a full disk and the like into a WorkError that says what survives and what to do."""
        try:
            yield
        except OSError as error:
            fix = "free some space" if error.errno == errno.ENOSPC else "fix that"
            raise WorkError(
                f"training stopped at step {self.step}: {(error.strerror or str(error)).lower()} "
                f"({error.filename or self.path}); {self.survivor}; {fix}, then `{resumption(self.path)}`"
            ) from error

    def write_record(self) -> None:
        """Write recipe.json."""
        with self.writing():
            files.write_json(self.path / files.RECORD, self.record)
