"""The run directory: what is written, where, and what is refused. Kills and resumes are in test_resume.py."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import ganvas
from ganvas import files, plan
from ganvas.errors import RequestError
from ganvas.run import Run, journal
from ganvas.run.budget import Budget, due
from ganvas.run.folder import claim

SMALL = {"hidden": "8", "critic_hidden": "8", "latent": 4, "log_every": 2, "sample_every": 3, "checkpoint_every": 4}


def train(path: Path | None, recipe: str = "mlp", data: str = "digits", steps: int = 6, **words: object) -> Run:
    return ganvas.train(recipe, data, out=path, steps=steps, batch=8, options=SMALL, progress=False, **words)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tmp_path_factory.mktemp("runs") / "run", seed=3, device="cpu")


def test_the_record_names_the_request_and_where_it_ran(run: Run) -> None:
    record = json.loads((run.path / "recipe.json").read_text())
    assert record["ganvas"] == ganvas.__version__
    assert record["torch"] == torch.__version__
    assert (record["recipe"], record["seed"], record["budget"]) == ("mlp", 3, {"steps": 6, "minutes": None})
    assert record["plan"]["device"] == "cpu"
    assert record["threads"] == torch.get_num_threads()
    options = record["options"]
    assert (options["data"], options["hidden"], options["batch"], options["dropout"]) == ("digits", [8], 8, 0.3)
    told = record["data"]
    assert (told["count"], told["shape"], told["class_names"]) == (1797, [1, 8, 8], list("0123456789"))
    assert told["fingerprint"] == ganvas.open_data("digits").fingerprint
    assert Run(run.path).options == run.options


def test_the_log_holds_means_since_the_last_line(tmp_path: Path) -> None:
    each, pairs = (
        ganvas.train("mlp", "digits", out=tmp_path / str(n), steps=6, options=SMALL | {"log_every": n}, progress=False)
        for n in (1, 2)
    )
    assert [line["step"] for line in each.log] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in pairs.log] == [2, 4, 6]
    for name in (
        "critic/loss",
        "generator/loss",
        "critic/accuracy_real",
        "critic/accuracy_fake",
        "generator/grad_norm",
    ):
        means = np.array([line[name] for line in each.log]).reshape(3, 2).mean(1)
        np.testing.assert_allclose([line[name] for line in pairs.log], means, rtol=1e-5)
    assert all(line["images_per_second"] > 0 for line in pairs.log)
    assert [line["seconds"] for line in pairs.log] == sorted(line["seconds"] for line in pairs.log)


def test_speed_is_that_of_training_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    with journal.Journal(tmp_path, 0, {}) as log:
        for _ in range(4):  # two seconds of training, then a hundred of anything else
            log.add({"critic/loss": torch.tensor(1.0)}, 30)
            now += 2.0
            log.pause()
            now += 100.0
            log.resume()
        log.pause()
        assert log.write(4, now, log.means()) == 15.0


def test_tensorboard_shows_the_same(run: Run) -> None:
    events = EventAccumulator(str(run.path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("critic/loss")] == [
        (line["step"], pytest.approx(line["critic/loss"])) for line in run.log
    ]
    assert [e.step for e in events.Images("samples")] == [0, 3, 6]


def test_tensorboard_forgets_what_a_resume_repeats(tmp_path: Path) -> None:
    run = train(tmp_path / "run")  # checkpoints at 4 and 6, the log's lines at 2, 4 and 6
    (run.path / "checkpoints" / "step-000006" / "state.json").unlink()
    ganvas.resume(run.path, progress=False)
    events = EventAccumulator(str(run.path)).Reload()
    assert [e.step for e in events.Scalars("critic/loss")] == [2, 4, 6]
    assert [line["step"] for line in run.log] == [2, 4, 6]


def test_the_same_latents_are_drawn_beside_real_items(run: Run) -> None:
    assert [path.name for path in run.pictures] == ["step-000000.png", "step-000003.png", "step-000006.png"]
    first, _, last = (np.asarray(Image.open(path)) for path in run.pictures)
    middle = first.shape[1] // 2
    assert np.array_equal(first[:, middle + 8 :], last[:, middle + 8 :])  # real
    assert not np.array_equal(first[:, :middle], last[:, :middle])
    again = ganvas.media.grid(run.sample(range(64)))
    assert np.array_equal(np.asarray(again), last[24:, : again.width])  # what the picture shows, sample() gives


def test_points_are_plotted(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "sine", "sine")
    assert run.sample(range(5)).shape == (5, 2)
    with Image.open(run.pictures[-1]) as image:
        assert image.width == 600


def test_the_generator_is_the_moving_average(tmp_path: Path) -> None:
    run = ganvas.train("mlp", "digits", out=tmp_path / "run", steps=3, options=SMALL | {"ema": 0.5}, progress=False)
    system, _ = run._open()
    assert system.decoder is not None
    for ours, theirs in zip(run.generator().decoder.parameters(), system.decoder.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    live = next(system.modules["generator"].parameters())
    assert not torch.equal(live, next(run.generator().decoder.parameters()))


def test_minutes_end_training_at_a_step_and_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1e-6
        return now

    monkeypatch.setattr(time, "perf_counter", clock)
    shares = []
    for progress in Run.create("mlp", "digits", out=tmp_path / "run", minutes=1, batch=8, options=SMALL).advance():
        now += 25.0  # seconds a step
        shares.append(progress.share)
    assert shares == [pytest.approx(share, abs=1e-4) for share in (0, 25 / 60, 50 / 60, 1)]
    resumed = Run(tmp_path / "run")
    assert resumed.budget == (None, 1)
    for _ in resumed.advance(minutes=2):
        now += 25.0
    assert resumed.step == 4 + 3  # the 75 seconds before are counted
    assert resumed.seconds == pytest.approx(75 + 50, abs=1e-2)
    with pytest.raises(RequestError, match=r"minutes: 1 is too few: .* has trained 2\.08 minutes"):
        resumed.advance(minutes=1)
    assert Run(resumed.path).budget == (None, 2)


def test_budgets() -> None:
    assert Budget(10, None).share(5, 1e9) == 0.5
    assert Budget(None, 2).share(10**9, 30) == 0.25
    assert Budget(10, None).share(20, 0) == 1
    assert [step for step in range(1, 9) if due(step, 3)] == [3, 6]
    assert not any(due(step, 0) for step in range(1, 9))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"steps": 5, "minutes": 1.0}, "give one of them"),
        ({"steps": 0}, "steps: 0 is not possible"),
        ({"minutes": -1.0}, "minutes: -1 is not possible"),
        ({"minutes": math.inf}, "minutes: inf is not possible"),  # which JSON has no number for
        ({"batch": 0}, "batch: 0 is not possible"),
        ({"recipe": "gam"}, "did you mean gan"),
        ({"data": "digitz"}, "did you mean digits"),
        ({"options": {"lrr": 1}}, "did you mean lr"),
        ({"options": {"lr": "fast"}}, "lr: 'fast'"),
        ({"device": "tpu"}, "device: 'tpu'"),
        ({"on_collapse": "stopp"}, "on_collapse: .*did you mean stop"),
        ({"options": {"objective": "wgan-gp", "net": "dcgan", "critic_norm": "batch"}}, "batch"),
    ],
)
def test_a_wrong_request_leaves_nothing_behind(words: dict[str, object], sentence: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(RequestError, match=sentence):
        Run.create(**{"data": "digits", "out": out} | words)
    assert not out.exists()


def test_the_default_directory_is_the_first_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [train(None, steps=1) for _ in range(3)]
    assert [str(run.path) for run in runs] == ["runs/mlp-digits", "runs/mlp-digits-2", "runs/mlp-digits-3"]
    assert claim(None, "gan-my pictures/éß", overwrite=False).name == "gan-my-pictures-éß"


def test_a_directory_with_something_in_it(tmp_path: Path) -> None:
    path = train(tmp_path / "run", steps=1).path
    (path / "notes.txt").write_text("mine")
    with pytest.raises(RequestError, match=rf"`ganvas resume {path}` continues it, `overwrite` replaces it"):
        train(path)
    assert train(path, steps=2, overwrite=True).step == 2
    assert (path / "notes.txt").read_text() == "mine"
    assert [line["step"] for line in Run(path).log] == [2]

    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("years of work")
    with pytest.raises(RequestError, match="is not a run of ganvas, so it is left alone"):
        train(foreign, overwrite=True)
    assert [file.name for file in foreign.iterdir()] == ["chapter.txt"]

    empty = tmp_path / "empty"
    empty.mkdir()
    assert train(empty, steps=1).path == empty


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match=r"out: cannot make the run directory .*; choose another"):
        train(tmp_path / "file" / "run")
    with pytest.raises(RequestError, match=r"out: cannot make the run directory .*null byte; choose another"):
        train(Path("a\0b"))


def test_what_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"is not a run of ganvas: it has no recipe\.json"):
        Run(tmp_path)


def test_changed_data_is_refused(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "data.npz", images=images)
    run = train(tmp_path / "run", data=str(tmp_path / "data.npz"))
    np.savez(tmp_path / "data.npz", images=images[:30])
    with pytest.raises(RequestError, match=r"data: .*data\.npz' is not what .* began with \(40 items then, 30 now\)"):
        ganvas.resume(run.path, steps=9, progress=False)


def test_files_that_cannot_be_read_are_told_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for i in range(4):
        Image.new("L", (8, 8), 60 * i).save(tmp_path / f"{i}.png")
        (tmp_path / f"broken{i}.png").write_bytes(b"not a picture")
    run = train(tmp_path / "run", data=str(tmp_path), steps=1)
    assert f"4 files of {tmp_path} cannot be read and are left out: broken0.png, broken1.png, broken2.png, ..." in [
        message.getMessage() for message in caplog.records
    ]
    assert (run.record["data"]["count"], run.record["data"]["unreadable"]) == (4, 4)


def test_a_run_keeps_its_threads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run, seen = train(tmp_path / "run", steps=2), []
    record = run.record | {"threads": 2}
    files.write_json(run.path / files.RECORD, record)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    opened = Run(run.path)
    system, _ = opened._open()
    system.phases[0].after_step = lambda: seen.append(torch.get_num_threads())
    for _ in opened.advance(steps=4):
        assert torch.get_num_threads() == 1  # the caller's own
    assert set(seen) == {2}
    assert caplog.text == ""

    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    Run(run.path).advance()
    assert "began with 2 threads, more than the 1 cores" in caplog.text
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    Run(run.path).advance()
    assert "began with 2 threads and continues with 1, as OMP_NUM_THREADS says" in caplog.text
    assert Run(run.path).record["threads"] == 1


def test_data_at_a_relative_path_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "data.npz", images=np.zeros((20, 8, 8, 1), np.uint8))
    monkeypatch.chdir(tmp_path)
    run = train(tmp_path / "run", data="data.npz", steps=2)
    monkeypatch.chdir("/")
    assert ganvas.resume(run.path, steps=3, progress=False).step == 3


def test_a_run_in_a_thread(tmp_path: Path) -> None:
    """The studio trains outside the main thread, where no signal can be caught."""
    steps: list[int] = []
    thread = threading.Thread(target=lambda: steps.append(train(tmp_path / "run").step))
    thread.start()
    thread.join()
    assert steps == [6]


def test_progress_shows_the_log(tmp_path: Path) -> None:
    run = Run.create("mlp", "digits", out=tmp_path / "run", steps=4, batch=8, options=SMALL)
    seen = list(run.advance())
    assert [progress.step for progress in seen] == [1, 2, 3, 4]
    assert [(progress.done, progress.total) for progress in seen] == [(0.25, 1), (0.5, 1), (0.75, 1), (1, 1)]
    assert [progress.means is not None for progress in seen] == [False, True, False, True]
    assert [progress.text.startswith("critic ") for progress in seen] == [False, True, False, True]
    assert seen[-1].means is not None
    assert seen[-1].means["critic/loss"] == run.log[-1]["critic/loss"]
    assert seen[-1].speed == pytest.approx(run.log[-1]["images_per_second"], abs=0.1)
    assert all(math.isfinite(value) for value in seen[-1].means.values())


def test_making_a_run_reports_and_can_be_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "bf16_gain", lambda device: 1.0)
    making = Run.creating("mlp", "digits", out=tmp_path / "run", batch=8, options=SMALL)
    for progress in making:
        if progress.what == "choosing precision":
            break
    making.close()
    assert not (tmp_path / "run").exists()


def test_the_function_is_not_hidden_by_a_module() -> None:
    """Importing a submodule binds its name in the package: none may be called as a function of the API is."""
    code = "import ganvas, ganvas.run; print(*(type(getattr(ganvas, name)).__name__ for name in ganvas.__all__))"
    kinds = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "module" not in kinds
    assert len(kinds) == len(ganvas.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        ganvas.trane  # noqa: B018 - the access is the test
    assert set(ganvas.__all__) <= set(dir(ganvas))
