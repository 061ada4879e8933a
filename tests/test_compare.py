"""Comparisons: failures count, nothing is trained twice, the protocol is kept, the results say what was measured."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.comparison import Comparison
from ganvas.comparison import comparison as comparison_module
from ganvas.comparison import page as results
from ganvas.comparison.summary import Cell, summarise
from ganvas.comparison.work import Job, Outcome, train_and_measure, work_through
from ganvas.data import open_data
from ganvas.errors import RequestError, WorkError

TINY = {"hidden": "8", "critic_hidden": "8", "batch": "16", "monitor_every": "0"}


def figure(value: float, better: str = "higher") -> dict[str, Any]:
    return {"value": value, "low": value, "high": value, "floor": None, "better": better, "meaning": "m"}


def outcome(objective: str, seed: int, coverage: float | None, fid: float = 0.0) -> Outcome:
    if coverage is None:
        return Outcome(objective, seed, failure="training diverged")
    return Outcome(objective, seed, 60.0, figures={"coverage": figure(coverage), "fid": figure(fid, "lower")})


# -- what several runs say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "failed", "median"),
    [
        ((0.9, 0.5, 0.1), 0, 0.5),
        ((0.9, 0.5), 0, 0.5),  # of an even number the worse one
        ((0.9, 0.5), 1, 0.5),
        ((0.9,), 1, None),
        ((0.9,), 2, None),
        ((), 3, None),
    ],
)
def test_a_failed_run_counts_as_the_worst(values: tuple[float, ...], failed: int, median: float | None) -> None:
    assert Cell(values, failed).median == median


def test_rows_are_sorted_by_the_median_in_the_direction_that_is_better() -> None:
    outcomes = [
        *(outcome("ns", seed, 0.5, fid) for seed, fid in enumerate((3.0, 1.0, 2.0))),
        *(outcome("mm", seed, 0.8, fid) for seed, fid in enumerate((9.0, 7.0, 8.0))),
        outcome("wgan", 0, 0.99, 0.1),
        outcome("wgan", 1, None),
        outcome("wgan", 2, None),
    ]
    by_coverage = summarise(outcomes, "coverage")
    assert [row.objective for row in by_coverage] == ["mm", "ns", "wgan"]
    assert [row.objective for row in summarise(outcomes, "fid")] == ["ns", "mm", "wgan"]
    assert by_coverage[1].cells["fid"].values == (1.0, 2.0, 3.0)  # the best first
    assert by_coverage[2].failures == ("seed 1: training diverged", "seed 2: training diverged")
    assert (by_coverage[2].runs, by_coverage[2].seconds) == (3, 60.0)


def test_what_some_run_lacks_is_left_out() -> None:
    runs = [outcome("ns", 0, 0.5), outcome("ns", 1, 0.4), outcome("ns", 2, None)]
    runs[0].figures["modes"] = figure(8)
    (row,) = summarise(runs, "coverage")
    assert set(row.cells) == {"coverage", "fid"}
    assert row.cells["coverage"] == Cell((0.5, 0.4), 1)


def test_what_the_monitor_found_is_counted_once_a_run() -> None:
    found = [
        Outcome("ns", seed, findings=kinds) for seed, kinds in enumerate((["collapse"] * 2, ["collapse", "copying"]))
    ]
    assert summarise(found, "")[0].monitor == "collapse 2, copying 1"


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"losses": "ns,wgna"}, "unknown objective 'wgna'; did you mean wgan"),
        ({"seeds": 0}, "seeds: 0 is not possible"),
        ({"steps": 0}, "steps: 0 is not possible"),
        ({"recipe": "pionts"}, "unknown recipe 'pionts'"),
        ({"options": {"lrr": "1"}}, "unknown option 'lrr'"),
        ({"options": {"objective": "ns"}}, "objective: this is what a comparison varies"),
        ({"data": "nowhere"}, "nowhere"),
        ({"recipe": "vae", "data": "digits"}, "recipe: 'vae' has no objectives to compare"),
        ({"options": {"data": "grid"}}, "data: this is not an option of a comparison; give `data`"),
        ({"options": {"steps": "9"}}, "steps: this is not an option of a comparison; give `steps`"),
        ({"metrics": "curve"}, "'curve' needs the points of sine"),
        ({"metrics": "ppl"}, "'ppl' needs a generator of images"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_written(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=message):
        Comparison.begin(tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


def test_every_run_has_the_same_options_but_the_objective_and_the_seed(tmp_path: Path) -> None:
    comparison = Comparison.begin(tmp_path, losses="all", seeds=2, steps=5, options=TINY)
    jobs = comparison.jobs()
    assert len({job.path for job in jobs}) == len(jobs) == 22
    assert {job.seed for job in jobs[:11]} == {0}  # seed by seed
    shared = {(job.recipe, job.data, job.steps, job.device, job.samples, str(job.options)) for job in jobs}
    assert shared == {("points", "ring", 5, "cpu", 2500, str(TINY))}


def test_an_objective_named_twice_is_measured_once(tmp_path: Path) -> None:
    assert len(Comparison.begin(tmp_path, losses="ns,mm,ns", seeds=1).jobs()) == 2


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RequestError, match="is not a comparison, and not empty"):
        Comparison.begin(tmp_path)
    with pytest.raises(RequestError, match="is not a comparison, and not empty"):
        Comparison.begin(tmp_path / "notes.txt")


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "compare.json").write_text("{")
    with pytest.raises(RequestError, match=r"compare\.json is damaged"):
        Comparison.begin(tmp_path)


@pytest.mark.parametrize("jobs", [0, -1])
def test_as_many_processes_as_one_are_needed(jobs: int, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"jobs: {jobs} is not possible"):
        next(Comparison.begin(tmp_path, losses="ns", seeds=1).play(jobs))


def test_one_that_stops_before_its_first_outcome_keeps_its_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(missing: object, jobs: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison_module, "work_through", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(Comparison.begin(tmp_path, losses="ns", seeds=1, steps=50).play())
    with pytest.raises(RequestError, match="holds a comparison with steps 50, not 20"):
        Comparison.begin(tmp_path, losses="ns", seeds=1, steps=20)


def test_a_full_disk_is_told_with_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(WorkError, match=r"cannot write into .*: no space left on device"):
        next(Comparison.begin(tmp_path / "c", losses="ns", seeds=1).play(1))


def test_images_have_their_own_defaults(tmp_path: Path) -> None:
    told = Comparison.begin(tmp_path, data="digits", losses="ns", seeds=1).protocol
    assert (told["recipe"], told["samples"], told["device"], told["metrics"]) == ("gan", 10_000, "auto", None)
    told = Comparison.begin(tmp_path, data="digits", losses="ns", seeds=1, options={"size": "16"}).protocol
    assert told["shape"] == [1, 16, 16]


# -- runs --------------------------------------------------------------------------------------------------------------


def job(path: Path, objective: str = "ns", **options: object) -> Job:
    return Job(objective, 0, path, "points", "ring", {**TINY, **options}, 3, "cpu", 200, ["modes"])


def test_a_run_of_an_objective_that_diverges_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    found = train_and_measure(job(tmp_path / "run", lr="1e30"))
    assert "diverged" in found.failure
    assert found.figures == {}


def test_an_objective_that_the_options_forbid_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    assert "pack" in train_and_measure(job(tmp_path / "run", "began", pack="2")).failure


def test_a_full_disk_is_no_failure_of_the_objective(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises((WorkError, OSError), match=r"(?i)no space left"):
        train_and_measure(job(tmp_path / "run"))


def test_what_is_missing_is_no_failure_of_the_objective(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="ppl"):
        train_and_measure(replace(job(tmp_path / "run"), metrics=["ppl"]))
    with pytest.raises(RequestError, match="there is no '/gone/data'"):
        train_and_measure(replace(job(tmp_path / "other"), data="/gone/data"))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").touch()
    with pytest.raises(RequestError, match="taken is not empty"):
        train_and_measure(job(tmp_path / "taken"))


def test_a_run_keeps_its_papers_own_settings(tmp_path: Path) -> None:
    found = train_and_measure(job(tmp_path / "run", "wgan-gp"))
    assert found.figures["modes"]["better"] == "higher"
    record = json.loads((tmp_path / "run" / "recipe.json").read_text())
    resolved = record["resolved"]
    assert (resolved["penalty"], resolved["penalty_every"], resolved["critic_steps"]) == ("gp:10", 1, 5)
    assert record["plan"]["precision"] == "fp32"
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["figures"] == found.figures


def test_no_more_is_handed_out_than_there_are_workers(tmp_path: Path) -> None:
    handed = []

    def jobs() -> Any:
        for objective in ("ns", "mm", "lsgan"):
            handed.append(objective)
            yield job(tmp_path / objective, objective, pack="7")  # which is refused at once

    seen = []
    for found in work_through(jobs(), 1):
        seen.append(found.objective)
        assert len(handed) <= len(seen) + 1
    assert seen == handed


def test_closing_ends_the_runs_that_are_being_trained(tmp_path: Path) -> None:
    refused, long = job(tmp_path / "refused", "mm", pack="7"), job(tmp_path / "long", "ns")
    outcomes = work_through([replace(long, steps=10**8), refused], 2)
    assert next(outcomes).objective == "mm"
    while not (tmp_path / "long" / "recipe.json").exists():
        time.sleep(0.1)
    outcomes.close()  # type: ignore[attr-defined]
    assert list((tmp_path / "long" / "checkpoints").glob("step-*"))  # it is saved, and can be resumed


KILLED = """
import multiprocessing, os, signal
from concurrent.futures import ProcessPoolExecutor
from ganvas.comparison.work import prepare

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, context := multiprocessing.get_context("spawn"), prepare, (context.Event(),))
    print(pool.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_comparison_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "killed.py").write_text(KILLED, encoding="utf-8")
    # A worker that lives on keeps the pipe open, and this from returning.
    done = subprocess.run([sys.executable, tmp_path / "killed.py"], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL and int(done.stdout), done.stderr


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of three objectives that has been played; one of them fails."""
    out = tmp_path_factory.mktemp("compare") / "out"
    settings = {**TINY, "pack": "2"}
    comparison = Comparison.begin(out, losses="ns,lsgan,began", seeds=1, steps=4, samples=200, options=settings)
    assert {found.objective for found in comparison.play(jobs=2)} == {"ns", "lsgan", "began"}
    return out


def again(out: Path, **changes: Any) -> Comparison:
    asked: dict[str, Any] = {"losses": "ns,lsgan,began", "seeds": 1, "steps": 4, "samples": 200}
    return Comparison.begin(out, **{**asked, "options": {**TINY, "pack": "2"}, **changes})


def test_runs_are_normal_run_directories(compared: Path) -> None:
    for name in ("ns-0", "lsgan-0"):
        assert (compared / name / "recipe.json").exists()
        assert (compared / name / "generator.safetensors").exists()


def test_nothing_is_trained_twice(compared: Path) -> None:
    before = (compared / "ns-0" / "log.jsonl").stat().st_mtime_ns
    assert list(again(compared).play()) == []
    assert (compared / "ns-0" / "log.jsonl").stat().st_mtime_ns == before


def test_a_comparison_may_grow_but_not_change(compared: Path) -> None:
    grown = again(compared, losses="ns,mm", seeds=2)
    missing = [(j.objective, j.seed) for j in grown.jobs() if (j.objective, j.seed) not in grown.outcomes]
    assert missing == [("mm", 0), ("ns", 1), ("mm", 1)]
    with pytest.raises(RequestError, match="holds a comparison with steps 4, not 5; choose another directory"):
        again(compared, steps=5)


def test_failures_are_shown_not_hidden(compared: Path) -> None:
    table = (compared / "compare.md").read_text()
    assert "| `began` | failed |" in table and "1 of 1 |" in table
    assert (compared / "ns-0" / "report.html").exists()
    assert "- `began` seed 0: " in table
    assert "200 samples of each run against 10,000 items (the test split), points as features" in table
    page = (compared / "compare.html").read_text()
    assert "1 of 3 runs failed" in page and "one energy per item" in page


def test_the_page_needs_nothing_but_itself_and_the_runs(compared: Path) -> None:
    page = (compared / "compare.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert page.count('src="data:image/webp;base64,') == 2  # a sheet for each run that drew
    assert 'href="ns-0/report.html"' in page
    assert "<dd>hidden: 8; critic_hidden: 8;" in page


def test_the_state_tells_the_protocol_and_every_figure(compared: Path) -> None:
    state = json.loads((compared / "compare.json").read_text())
    assert state["protocol"]["steps"] == 4 and state["protocol"]["precision"] == "fp32"
    told = {run["objective"]: run for run in state["runs"]}
    assert set(told["ns"]["figures"]) >= {"modes", "high_quality", "reverse_kl", "coverage", "fid"}
    assert told["began"]["figures"] == {}


def test_results_can_be_written_where_every_run_failed(tmp_path: Path) -> None:
    comparison = Comparison.begin(tmp_path, losses="ns", seeds=1, steps=4)
    results.write_results(tmp_path, comparison.protocol, [outcome("ns", 0, None)])
    assert "nothing to rank" in (tmp_path / "compare.html").read_text()
    table = [line for line in (tmp_path / "compare.md").read_text().splitlines() if line.startswith("|")]
    assert [line.count("|") for line in table] == [4, 4, 4]


def test_samples_stand_in_the_column_of_their_seed() -> None:
    red = Image.new("RGB", (results.SMALL, results.SMALL), "red")
    sheet = results.contact({"ns": {1: red}, "mm": {0: red, 1: red}})
    column = results.SMALL + 10
    assert sheet.getpixel((column + 50, 100)) == (255, 0, 0) != sheet.getpixel((50, 100))


def test_metrics_that_are_asked_for_are_all_that_is_measured(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="unknown metric 'fidd'"):
        Comparison.begin(tmp_path / "c", metrics="fidd", options=TINY)
    comparison = Comparison.begin(
        tmp_path / "c", losses="ns", seeds=1, steps=2, samples=100, metrics="fid, modes", options=TINY
    )
    (outcome,) = comparison.play(1)
    assert set(outcome.figures) == {"fid", "modes", "high_quality", "reverse_kl"}


def test_the_accuracy_of_samples_without_labels_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="needs samples with labels"):
        Comparison.begin(tmp_path / "c", data="digits", metrics="accuracy", options={"batch": 4})
    labelled = Comparison.begin(tmp_path / "c", data="digits", recipe="cgan", metrics="accuracy")
    assert labelled.protocol["metrics"] == ["accuracy"]


def test_a_floor_of_zero_is_drawn_however_wide_the_values_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results.media, "rendered", lambda figure: figure)
    rows = summarise([outcome("ns", 0, 0.5, 1e-3), outcome("ns", 1, 0.5, 9.0)], "fid")
    told = figure(1.0, "lower")
    scales = []
    for floor in (1e-3, 0.0):
        (axes,) = results.plots([results.dots("fid", told | {"floor": floor}, rows)]).axes  # type: ignore[attr-defined]
        assert axes.get_xlim()[0] < floor
        scales.append(axes.get_xscale())
    assert scales == ["log", "linear"]


def test_data_from_memory_is_kept_with_the_comparison(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(100, 2))
    request = {"data": points, "losses": "ns", "seeds": 1, "steps": 2, "options": TINY, "metrics": "fid"}
    comparison = Comparison.begin(tmp_path / "out", **request)
    (job,) = comparison.jobs()
    assert job.data == str(tmp_path / "out" / "data")
    assert len(open_data(job.data)) == 100
    assert Comparison.begin(tmp_path / "out", **request).protocol == comparison.protocol
    with pytest.raises(RequestError, match="holds a comparison with fingerprint"):
        Comparison.begin(tmp_path / "out", **{**request, "data": points[:50]})
