"""How threads wait: chosen before torch is loaded, and only where the user has not."""

from __future__ import annotations

import json

import pytest

from benchmarks import neighbour
from ganvas.openmp import SPINS, shorten_spinning


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, SPINS), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
)
def test_idle_threads_sleep_soon_unless_the_user_has_chosen(
    given: dict[str, str], spins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", given)
    shorten_spinning()
    assert given.get("GOMP_SPINCOUNT") == spins


def test_training_is_timed_next_to_a_busy_process(capsys: pytest.CaptureFixture[str]) -> None:
    neighbour.main(["--once", "--recipe", "mlp", "--data", "digits", "--seconds", "0.05"])
    quiet, shared = json.loads(capsys.readouterr().out)
    assert quiet > 0
    assert shared > 0
