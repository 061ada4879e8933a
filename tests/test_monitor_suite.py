"""The benchmark of the monitor: what counts as broken, how cases are split, that a case trains, ends and is judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cases import CASES, HEALTHY, SICK
from benchmarks.monitor import half, main, rates, report, state, train
from ganvas.data import open_data
from ganvas.run import Run

TINY = {"hidden": "8", "critic_hidden": "8", "steps": 12, "monitor_every": 2, "sample_every": 0}


def test_there_are_enough_cases_in_both_halves() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert min(len(HEALTHY), len(SICK)) >= 24
    for cases in (HEALTHY, SICK):
        assert {half(case.name) for case in cases} == {"calibration", "held out"}
    assert all(case.name.startswith(case.fault.replace(" ", "-") or "healthy") for case in CASES)


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"modes": 1.0, "high_quality": 0.9}, "healthy"),
        ({"modes": 0.125, "high_quality": 1.0}, "broken"),
        ({"modes": 1.0, "high_quality": 0.0}, "broken"),
        ({"modes": 0.75, "high_quality": 0.9}, "unclear"),
        ({"precision": 0.6, "recall": 0.5, "nearest": 1.1}, "healthy"),
        ({"precision": 0.9, "recall": 0.0, "nearest": 1.1}, "broken"),
        ({"precision": 1.0, "recall": 1.0, "nearest": 0.1}, "broken"),
        ({"precision": 0.6, "recall": 0.1}, "unclear"),
        ({"error": "training diverged"}, "broken"),
    ],
)
def test_what_a_run_has_come_to(figures: dict[str, float], expected: str) -> None:
    assert state(figures) == expected


def test_rates_count_what_is_clear() -> None:
    def row(run: str, fault: str, state: str, *alarms: str) -> dict[str, object]:
        return {"run": run, "fault": fault, "state": state, "alarms": dict.fromkeys(alarms, 1)}

    figures = rates(
        [
            row("a", "still", "broken", "collapse", "divergence"),
            row("b", "still", "broken"),
            row("c", "still", "healthy", "collapse"),  # the sabotage did not take
            row("d", "", "healthy"),
            row("e", "", "healthy", "copying"),
            row("f", "", "broken", "collapse"),  # broken without being made so
        ]
    )
    assert (figures["broken"], figures["detected"], figures["healthy"], figures["accused"]) == (2, 1, 2, 1)
    assert (figures["missed"], figures["false alarms"], figures["unclear"]) == (["b"], ["e"], ["c", "f"])
    assert figures["confusion"] == {
        "still": {"collapse": 1, "divergence": 1, "nothing": 1},
        "healthy": {"nothing": 1, "copying": 1},
    }


def test_a_case_is_trained_once_and_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = next(case for case in CASES if case.name == "deaf-generator-ring-ns")
    tiny = replace(case, options={**case.options, **TINY})
    train(tiny, 7, tmp_path)
    run = Run(tmp_path / "deaf-generator-ring-ns-7")
    assert run.log[-1]["monitor/diversity"] == pytest.approx(0, abs=1e-6)
    written = (run.path / "outcome.json").stat().st_mtime_ns
    train(tiny, 7, tmp_path)
    assert (run.path / "outcome.json").stat().st_mtime_ns == written
    report(tmp_path)
    assert "1 of 1 broken runs detected" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "monitor.json").read_text())["runs"]
    assert (row["state"], row["half"]) == ("broken", half(case.name))
    main(["--out", str(tmp_path), "--judge-only", "--half", "calibration"])  # to which this case does not belong
    assert capsys.readouterr().out.startswith("calibration: 0 of 0 broken runs detected, 0 of 0 healthy")
    assert json.loads((tmp_path / "monitor.json").read_text())["runs"] == []


@pytest.mark.parametrize("fault", ["narrow data", "learnt by heart"])
def test_sabotage_trains(fault: str, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.fault == fault and "digits" in case.name)
    options = {**case.options, "width": 8, "steps": 3} if case.recipe == "dcgan" else {**case.options, **TINY}
    data = case.prepare(tmp_path) if case.prepare else case.data
    run = Run.create(case.recipe, data, out=tmp_path / "run", device="cpu", precision="fp32", options=options)
    steps = run.advance()
    system, dataset = run._open()
    before = [phase.loss for phase in system.phases]
    assert case.sabotage is not None
    case.sabotage(system, dataset)
    assert [phase.loss for phase in system.phases] != before
    for _ in steps:
        pass
    assert len(dataset) == (20 if fault == "learnt by heart" else len(open_data("digits")))
