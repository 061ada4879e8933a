"""Runs that the monitor watches: what is logged and kept, and how a run stops or goes back, through any kill."""

from __future__ import annotations

import io
import json
import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import ganvas
from ganvas import cli, monitor
from ganvas.cli.bars import watch
from ganvas.errors import RequestError, WorkError
from ganvas.features import open_features
from ganvas.frozen import load_generator
from ganvas.monitor import rules
from ganvas.run import Run, checkpoint
from ganvas.run.watch import Watch, stream

SMALL = {
    **{"hidden": "8", "critic_hidden": "8", "latent": 4, "batch": 8, "ema": 0.9},
    **{"log_every": 3, "sample_every": 0, "checkpoint_every": 4, "monitor_every": 2},
}
Rule = Callable[[Sequence[dict[str, Any]]], bool]


def made(path: Path, steps: int = 24, on_collapse: str = "warn", **options: object) -> Run:
    return Run.create(
        "mlp", "digits", out=path, steps=steps, seed=3, on_collapse=on_collapse, options={**SMALL, **options}
    )


def finish(run: Run) -> Run:
    for _ in run.advance():
        pass
    return run


def lines(run: Run) -> list[dict[str, Any]]:
    """The log, without what the clock says."""
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in run.log]


def outcome(run: Run) -> dict[str, Any]:
    """What must not differ by a bit."""
    newest, best = checkpoint.steps(run.path / "checkpoints")[0], run.path / "checkpoints" / "best"
    files = [newest / checkpoint.MODEL, newest / checkpoint.OPTIMISERS, best / checkpoint.MODEL]
    found: dict[str, Any] = {str(file.relative_to(run.path)): file.read_bytes() for file in files}
    rollbacks = [{key: value for key, value in entry.items() if key != "seconds"} for entry in run.rollbacks]
    return found | {"best": checkpoint.best_step(run.path / "checkpoints"), "rollbacks": rollbacks, "log": lines(run)}


def same(run: Run, other: dict[str, Any]) -> None:
    ours = outcome(run)
    assert {name for name in other if ours[name] != other[name]} == set()


@pytest.fixture(autouse=True)
def ill(monkeypatch: pytest.MonkeyPatch) -> Callable[[Rule], None]:
    """Makes the monitor find collapse where a rule says so; by default it finds nothing."""
    monkeypatch.setattr(rules, "RULES", {})
    monkeypatch.setattr(rules, "WINDOW", 1)
    return lambda rule: monkeypatch.setattr(rules, "RULES", {"collapse": rule})


def at(step: int) -> Rule:
    return lambda looks: looks[-1]["step"] == step


# -- what is written down ----------------------------------------------------------------------------------------------


def test_looks_are_logged_and_shown(tmp_path: Path) -> None:
    run = finish(made(tmp_path / "run", steps=7))
    assert [line["step"] for line in run.log] == [2, 3, 4, 6, 7]
    assert [line["step"] for line in run.log if "monitor/distance" in line] == [2, 4, 6]
    events = EventAccumulator(str(run.path)).Reload()
    assert [e.step for e in events.Scalars("monitor/distance")] == [2, 4, 6]
    assert run.record["monitor"] in ("pixels", "cnn-digits")
    assert run.findings == []


def test_looks_change_nothing_but_the_log(tmp_path: Path) -> None:
    watched, alone = (finish(made(tmp_path / str(every), steps=8, monitor_every=every)) for every in (2, 0))
    for name in (checkpoint.MODEL, checkpoint.OPTIMISERS):
        first, second = (run.path / "checkpoints" / "step-000008" / name for run in (watched, alone))
        assert first.read_bytes() == second.read_bytes()
    assert alone.record["monitor"] is None
    assert not any("monitor/distance" in line for line in alone.log)
    assert alone.best is None


def test_too_few_items_are_not_judged(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", images=np.zeros((15, 8, 8, 1), np.uint8))
    run = Run.create("mlp", str(tmp_path / "few.npz"), out=tmp_path / "run", steps=2, options=SMALL)
    assert run.record["monitor"] is None


def test_the_best_checkpoint_is_the_nearest_to_the_data(tmp_path: Path) -> None:
    run = finish(made(tmp_path / "run", steps=24, lr=5e-3))
    due = {line["step"]: line["monitor/distance"] for line in run.log if line["step"] % 4 == 0}
    best = min(due, key=lambda step: due[step])
    assert checkpoint.best_step(run.path / "checkpoints") == best
    assert {path.name for path in (run.path / "checkpoints").iterdir()} == {"best", "step-000020", "step-000024"}
    assert run.best is not None
    generator = load_generator(run.best)
    digits = ganvas.open_data("digits")
    probe = monitor.Probe(open_features(run.record["monitor"], dataset=digits), digits)
    assert probe.measure(generator.sample(range(monitor.SAMPLES)))["monitor/distance"] == pytest.approx(due[best])


def test_a_finding_is_said_once_logged_and_shown(
    tmp_path: Path, ill: Callable[[Rule], None], caplog: pytest.LogCaptureFixture
) -> None:
    ill(lambda looks: looks[-1]["step"] >= 8)
    run = made(tmp_path / "run", steps=14)
    console = Console(record=True, file=io.StringIO(), width=200)
    with caplog.at_level(logging.WARNING):
        watch(run.advance(), console)
    meaning, advice = monitor.EXPLANATIONS["collapse"]
    assert [record.getMessage() for record in caplog.records] == [f"collapse at step 8. {meaning} {advice}"]
    assert {line["step"]: line["findings"] for line in run.log if "findings" in line} == {
        8: [{"kind": "collapse", "meaning": meaning, "advice": advice}]
    }
    assert [finding.step for finding in run.findings] == [8]
    shown = console.export_text().splitlines()
    assert [line.split(" (")[0] for line in shown if line.endswith("collapse!")] == [
        f"step {n}" for n in (8, 9, 10, 12, 14)
    ]
    text = EventAccumulator(str(run.path)).Reload().Tensors("finding/collapse/text_summary")
    assert [event.step for event in text] == [8]
    assert checkpoint.best_step(run.path / "checkpoints") == 4  # what came after is not healthy


# -- resuming ----------------------------------------------------------------------------------------------------------


def test_a_resumed_run_logs_the_very_same(tmp_path: Path) -> None:
    expected = outcome(finish(made(tmp_path / "whole", lr=5e-3)))
    run, left = made(tmp_path / "parts", lr=5e-3), sorted(random.sample(range(1, 24), 3))
    for stop in left:
        for progress in run.advance():
            if progress.step == stop:
                break
        torch.manual_seed(random.randint(0, 99))
        run = Run(run.path)
    same(finish(run), expected)


def test_a_kill_before_the_best_is_kept_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = outcome(finish(made(tmp_path / "whole", lr=5e-3)))
    run = made(tmp_path / "run", lr=5e-3)

    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "keep_best", killed)
        with pytest.raises(SystemExit):
            finish(run)
    assert checkpoint.best_step(run.path / "checkpoints") is None
    same(finish(Run(run.path)), expected)


# -- stopping ----------------------------------------------------------------------------------------------------------


def test_stop_saves_and_says_so(
    tmp_path: Path, ill: Callable[[Rule], None], capsys: pytest.CaptureFixture[str]
) -> None:
    ill(lambda looks: looks[-1]["step"] >= 6)
    run = made(tmp_path / "run", on_collapse="stop")
    with pytest.raises(
        WorkError, match=r"stopped and saved at step 6, since the monitor found collapse: The generator"
    ):
        finish(run)
    assert checkpoint.steps(run.path / "checkpoints")[0].name == "step-000006"
    assert cli.main(["resume", str(run.path), "--on-collapse", "warn"]) == 0  # which goes on all the same
    assert Run(run.path).record["on_collapse"] == "warn"
    capsys.readouterr()
    settings = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    request = ["train", "mlp", "digits", "--out", str(tmp_path / "cli"), "--steps", "9", "--on-collapse", "stop"]
    assert cli.main([*request, *settings]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("ganvas: stopped and saved at step 6")


def test_an_unknown_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"on_collapse: .*'rolback'; did you mean rollback"):
        made(tmp_path / "run", on_collapse="rolback")
    assert not (tmp_path / "run").exists()
    run = made(tmp_path / "run")
    with pytest.raises(RequestError, match="on_collapse"):
        run.advance(on_collapse="never")


# -- going back --------------------------------------------------------------------------------------------------------


def until(path: Path, step: int, times: int) -> Rule:
    """Ill at `step` in the first attempts, as many as `times`: by what the run has recorded, so that resume sees it."""

    def rule(looks: Sequence[dict[str, Any]]) -> bool:
        record = json.loads((path / "recipe.json").read_bytes())
        return looks[-1]["step"] == step and len(record["rollbacks"]) < times

    return rule


def test_a_run_goes_back_to_its_best_with_other_noise_and_lower_rates(
    tmp_path: Path, ill: Callable[[Rule], None], caplog: pytest.LogCaptureFixture
) -> None:
    run = made(tmp_path / "run", on_collapse="rollback", lr=5e-3, critic_lr=1e-3, sample_every=2)
    ill(until(run.path, 10, 2))
    steps = [progress.step for progress in run.advance()]
    best = run.rollbacks[0]["to"]
    assert best in (4, 8)
    assert steps == [*range(1, 11), *range(best + 1, 11), *range(best + 1, 25)]
    assert [(entry["kind"], entry["step"], entry["to"]) for entry in run.rollbacks] == [("collapse", 10, best)] * 2
    assert (
        f"collapse at step 10: back to step {best}, with 0.25 times the learning rates (rollback 2 of 3)" in caplog.text
    )
    assert [line["step"] for line in run.log] == sorted({line["step"] for line in run.log})
    assert [entry["seconds"] for entry in run.rollbacks] == sorted(entry["seconds"] for entry in run.rollbacks)
    assert run.seconds > run.rollbacks[-1]["seconds"]
    system, _ = run._open()
    rates = {phase.name: phase.optimizer.param_groups[0]["lr"] for phase in system.phases}
    assert rates == {"critic": 1e-3 / 4, "generator": 5e-3 / 4}
    assert len({stream(3, attempt) for attempt in range(4)}) == 4 and stream(3, 0) == 3


@pytest.mark.parametrize("origin", ["best", "start"])
def test_going_back_is_exact_through_kills(
    origin: str, tmp_path: Path, ill: Callable[[Rule], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = 10 if origin == "best" else 2  # where no checkpoint has been made yet

    def begin(name: str) -> Run:
        run = made(tmp_path / name, on_collapse="rollback", lr=5e-3, checkpoint_every=4)
        ill(until(run.path, step, 2))
        return run

    expected = outcome(finish(begin("whole")))
    assert [entry["step"] for entry in expected["rollbacks"]] == [step, step]
    assert (expected["rollbacks"][0]["to"] == 0) == (origin == "start")

    run = begin("parts")
    for _ in range(6):  # leave it at any step, and kill it at any rollback
        with monkeypatch.context() as patch:
            if random.random() < 0.5:
                patch.setattr(Run, "_load", killed_on_going_back(Run._load))
            try:
                stop = random.randint(1, 8)
                for i, _ in enumerate(run.advance(), start=1):
                    if i == stop:
                        break
            except SystemExit:
                pass
        run = Run(run.path)
    same(finish(run), expected)


def killed_on_going_back(load: Callable[..., None]) -> Callable[..., None]:
    """`Run._load` that dies where the process has trained before: after a rollback is recorded, before it is done."""
    calls = []

    def dying(run: Run, *words: object) -> None:
        calls.append(run)
        if len(calls) > 1:
            raise SystemExit
        load(run, *words)

    return dying


def test_three_times_is_enough(tmp_path: Path, ill: Callable[[Rule], None]) -> None:
    ill(at(6))
    run = made(tmp_path / "run", on_collapse="rollback")
    with pytest.raises(
        WorkError, match="stopped and saved at step 6 after 3 rollbacks, since the monitor found collapse"
    ):
        finish(run)
    assert len(run.rollbacks) == 3
    assert checkpoint.steps(run.path / "checkpoints")[0].name == "step-000006"
    assert Run(run.path).advance(on_collapse="warn") is not None


def test_numbers_that_are_not_finite_go_back_too(tmp_path: Path) -> None:
    run = made(tmp_path / "run", on_collapse="rollback")
    for progress in run.advance():
        if progress.step == 6 and not run.rollbacks:
            system, _ = run._open()
            next(system.modules["generator"].parameters()).data.fill_(float("nan"))
    assert run.step == 24
    assert [(entry["kind"], entry["to"]) for entry in run.rollbacks] == [("divergence", 4)]


def test_nothing_is_done_about_the_last_step(tmp_path: Path, ill: Callable[[Rule], None]) -> None:
    ill(at(8))
    run = finish(made(tmp_path / "run", steps=8, on_collapse="rollback"))
    assert (run.step, run.rollbacks) == (8, [])
    assert [finding.step for finding in run.findings] == [8]


def test_a_machine_that_becomes_slow_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = made(tmp_path / "run")
    watch, lines = Watch(run, ganvas.open_data("digits")), []
    for rate in (1000, 1100, 1050, 390, 430, 390, 380, 370):
        lines.append({"images_per_second": rate})
        run.record["threads"] = 2
        watch.check_speed(lines)
    (warning,) = (record.getMessage() for record in caplog.records)
    assert warning.startswith("training has slowed down to 380 images/s from")
    assert f"`OMP_NUM_THREADS=1 ganvas resume {run.path}`" in warning
    run.record["threads"] = 1
    Watch(run, watch.dataset).check_speed(lines)
    assert len(caplog.records) == 1
