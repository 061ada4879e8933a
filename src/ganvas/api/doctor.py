"""What this machine can do."""

from __future__ import annotations

from dataclasses import dataclass

from ..machine import examine_machine
from ..progress import Progress, Steps
from ..shown import table_html
from .verb import Verb


@dataclass(frozen=True)
class Examination:
    """What this machine can do, a fact an entry."""

    facts: dict[str, str]

    def _repr_html_(self) -> str:
        return table_html(("", ""), list(self.facts.items()))


@Verb
def doctor(*, progress: bool = True) -> Steps[Examination]:
    """What this machine can do, what is missing, and the plan that training would choose."""
    yield Progress("measuring this machine")
    return Examination({name: str(value) for name, value in examine_machine().items()})
