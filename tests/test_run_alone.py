"""One process trains a run directory, with the options that it recorded, and says so in few lines."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import ganvas
from ganvas.cli.bars import LINES, watch
from ganvas.errors import RequestError
from ganvas.progress import Progress, Steps
from ganvas.run import Run
from ganvas.run.budget import TrainingProgress

SMALL = {"hidden": "8", "critic_hidden": "8", "latent": 4, "log_every": 2, "sample_every": 0, "checkpoint_every": 4}

HOLD = "import sys; from ganvas.run import Run; steps = Run(sys.argv[1]).advance(); next(steps); print(1); input()"


def made(path: Path, steps: int = 6, **options: object) -> Run:
    return Run.create("mlp", "digits", out=path, steps=steps, batch=8, options={**SMALL, **options})


def test_a_second_process_is_refused_until_the_first_dies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ganvas import cli

    run = made(tmp_path / "run")
    other = [sys.executable, "-c", HOLD, str(run.path)]
    with subprocess.Popen(other, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert cli.main(["resume", str(run.path)]) == 2
        said = capsys.readouterr().err
        assert f"{run.path} is being trained already; wait" in said and said.count("\n") == 1
        with pytest.raises(RequestError, match="being trained already"):
            Run.create("mlp", "digits", out=run.path, overwrite=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert ganvas.resume(run.path, progress=False).step == 6


def test_this_process_too_trains_it_once_at_a_time(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    steps = run.advance()
    next(steps), next(steps)
    with pytest.raises(RequestError, match="being trained already"):
        Run(run.path).advance()
    steps.close()
    with pytest.raises(RequestError, match="has trained 2 steps already"):
        Run(run.path).advance(steps=1)  # which lets go of the directory
    assert ganvas.resume(run.path, progress=False).step == 6


def test_what_auto_became_is_recorded_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ganvas.train(
        "gan", "digits", out=tmp_path / "run", steps=2, batch=8, options={"max_width": 8}, progress=False
    )
    asked, resolved = (json.loads((run.path / "recipe.json").read_text())[key] for key in ("options", "resolved"))
    assert (asked["net"], asked["width"], asked["critic_steps"], asked["clip"]) == ("auto", 0, 0, -1.0)
    assert (resolved["net"], resolved["width"], resolved["critic_steps"], resolved["clip"]) == ("residual", 32, 1, 0)
    monkeypatch.setattr("ganvas.recipes.gan.affordable_width", lambda size, device: 16)  # another machine's choice
    assert ganvas.resume(run.path, steps=3, progress=False).step == 3


def test_torchrun_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path / "run")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RequestError, match=r"this is one of 2; start ganvas without torchrun, or call ganvas\.loop"):
        made(tmp_path / "other")
    with pytest.raises(RequestError, match="this is one of 2"):
        run.advance()
    assert not (tmp_path / "other").exists()


def at(step: int, share: float) -> Progress:
    """The report of a step; odd ones are logged."""
    return TrainingProgress("training", share, 1.0, "critic 1.000" if step % 2 else "", step=step, seconds=step)


def test_a_long_run_prints_a_line_every_two_percent_and_the_last() -> None:
    console = Console(file=io.StringIO(), record=True)

    def steps() -> Steps[None]:
        yield from (at(i, min(1.0, i / 1001)) for i in range(1002))

    watch(steps(), console)
    lines = console.export_text().splitlines()
    assert len(lines) == LINES + 1
    assert lines[-1].startswith("step 1,001 (100%")

    def stopped() -> Steps[None]:
        yield from (at(1, 0.001), at(2, 0.002), at(3, 0.003))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(stopped(), console)
    assert [line.split(" (")[0] for line in console.export_text().splitlines()] == ["step 1", "step 3"]


@pytest.mark.parametrize("data", ["", "~nobody-of-this-name/photos", "x" * 5000])
def test_data_that_are_no_path_are_refused_before_a_directory_is_made(data: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"there is no ''|cannot be opened"):
        ganvas.train("mlp", data, out=tmp_path / "run", steps=1, progress=False)
    assert not (tmp_path / "run").exists()
