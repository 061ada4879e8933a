"""Where a run stands: what a session moves on, and what its watch reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import recipes, records
from ..plan import Plan
from .budget import Budget


class RunState:
    """The directory of a run, its record, and how far it has trained."""

    def __init__(self, path: str | Path) -> None:
        """Read the record of the run at `path`. Raises RequestError where there is none."""
        self.path = Path(path)
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
