"""The command line: what each command prints and writes, its exit status, and the fix that an error names."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import ganvas
from ganvas import cli, recipes
from ganvas.cli.bars import watch
from ganvas.errors import RequestError
from ganvas.latent import parse_seeds
from ganvas.progress import Interrupted, Progress, Steps, clock
from ganvas.run import Run
from ganvas.run.budget import TrainingProgress, summary

SMALL = ("--batch", "8", "--device", "cpu", "--precision", "fp32")
SMALL += tuple(word for key in ("hidden=8", "critic_hidden=8", "latent=4", "log_every=2") for word in ("--set", key))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "my run"
    assert cli.main(["train", "mlp", "digits", "--out", str(path), "--steps", "4", *SMALL]) == 0
    return path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a request that is wrong."""
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ganvas: ") and err.count("\n") == 1
    return err


def test_train_says_what_it_does_and_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my run"
    assert cli.main(["train", "mlp", "digits", "--out", str(path), "--steps", "4", "--seed", "9", *SMALL]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"mlp on digits (1,797 items of 1×8×8), cpu fp32, into {path}\n" in out
    assert [text.split("  ")[0].split(" (")[0] for text in out.splitlines()[1:3]] == ["step 2", "step 4"]
    assert str(path / "samples" / "step-000004.png") in out
    assert f"ganvas sample '{path}' --seeds 0-63 --out grid.png" in out
    assert f"ganvas resume '{path}' --steps 8" in out
    record = Run(path).record
    assert (record["seed"], record["options"]["hidden"], record["options"]["batch"]) == (9, [8], 8)


def test_train_without_arguments_trains_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[Run] = []

    def advance(run: Run) -> Steps[None]:
        asked.append(run)
        yield Progress("training")

    monkeypatch.setattr(Run, "advance", advance)
    assert cli.main(["train"]) == 0
    (run,) = asked
    assert (run.recipe, run.options.data, str(run.path)) == ("gan", "digits", "runs/gan-digits")


def test_resume(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = Run(trained).log[-1]["step"]
    assert cli.main(["resume", str(trained), "--steps", str(done + 2)]) == 0
    out, _ = capsys.readouterr()
    assert f"from step {done}\n" in out
    assert f"{done + 2} steps in" in out


def test_a_directory_in_use_names_both_ways_out(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    err = refused(capsys, "train", "mlp", "digits", "--out", str(trained), *SMALL)
    assert "`ganvas resume" in err and "--overwrite" in err


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["trian"], "train"),
        (["train", "--step", "3"], "--steps"),
        (["train", "dcgam"], "dcgan"),
        (["train", "gan", "digitz"], "digits"),
        (["train", "--set", "latnet=3"], "latent"),
        (["train", "--set", "objective=hing"], "hinge"),
        (["train", "--set", "lr"], "KEY=VALUE"),
        (["train", "--set", "lr=fast"], "float"),
        (["train", "--device", "cdua"], "cuda"),
        (["train", "--steps", "many"], "--steps"),
        (["train", "--steps", "3", "--minutes", "1"], "one of them"),
        (["recipes", "mlp_bn"], "mlp-bn"),
        (["resume"], "RUN"),
        (["resume", "nowhere"], "recipe.json"),
        (["sample", "nowhere", "--out", "x.png"], "run directory"),
        (["sample", "nowhere"], "--out"),
        (["sample", "nowhere", "--seeds", "5-2", "--out", "x.png"], "--seeds: the range 5-2"),
        (["train", "--steps", "0"], "--steps: 0"),
        (["train", "gan", "digits", "--set", "batch=0"], "--set batch: 0"),
        (["data", "digitz"], "--data: "),
        (["data", "digitz"], "digits"),
    ],
)
def test_a_wrong_request_names_the_right_one(
    words: list[str], nearest: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nearest in refused(capsys, *words)
    assert list(tmp_path.iterdir()) == []


def test_the_statuses_and_streams_of_the_process(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "ganvas", *words], capture_output=True, text=True, cwd=tmp_path)

    version = run("--version")
    assert (version.returncode, version.stdout.strip(), version.stderr) == (0, ganvas.__version__, "")
    wrong = run("trian")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "train" in wrong.stderr and "Traceback" not in wrong.stderr
    debug = run("sample", "nowhere", "--out", "x.png", "--debug")
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr and "RequestError" in debug.stderr


@pytest.mark.parametrize(("error", "status"), [(ganvas.WorkError("the disk is full"), 1), (KeyError("lost"), 1)])
def test_a_failure_is_one_sentence(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("ganvas.api.describe.grouped", fail)
    assert cli.main(["recipes", "gan"]) == status
    _, err = capsys.readouterr()
    assert str(error) in err and "Traceback" not in err
    assert ("--debug" in err) == isinstance(error, KeyError)  # a mistake of ours, not a sentence for users
    with pytest.raises(type(error)):
        cli.main(["recipes", "gan", "--debug"])


def interrupted(saved: Path | None) -> Steps[None]:
    """Work during which Ctrl-C comes, and then comes to nothing for a while."""
    yield Progress("working", 1, 3, saved=saved)
    signal.raise_signal(signal.SIGINT)
    yield Progress("working", 2, 3, saved=saved)
    raise AssertionError("Ctrl-C did not end it")


def test_ctrl_c_ends_work_that_is_saved_and_says_how_to_continue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "advance", lambda *_: interrupted(tmp_path / "my run"))
    (tmp_path / "my run").mkdir()
    (tmp_path / "my run" / "recipe.json").touch()
    assert cli.main(["train", "mlp", "digits", "--out", str(tmp_path / "r"), *SMALL]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == f"stopped and saved: working 2 of 3; `ganvas resume '{tmp_path / 'my run'}'` continues"
    monkeypatch.setattr(Run, "advance", lambda *_: interrupted(tmp_path / "latent.npz"))
    assert cli.main(["train", "mlp", "digits", "--out", str(tmp_path / "s"), *SMALL]) == 0
    assert f"the same command with --init {tmp_path / 'latent.npz'}" in capsys.readouterr().out


def test_ctrl_c_at_the_end_of_saved_work_says_what_is_saved(tmp_path: Path) -> None:
    def work() -> Steps[None]:
        yield Progress("painting", 3, 3, saved=tmp_path)
        signal.raise_signal(signal.SIGINT)
        yield Progress("filming", 1, 9)

    with pytest.raises(Interrupted) as stop:
        watch(work(), Console(file=io.StringIO()))
    assert stop.value.last.what == "painting"


def test_ctrl_c_interrupts_work_that_is_not_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "advance", lambda *_: interrupted(None))
    assert cli.main(["train", "mlp", "digits", "--out", str(tmp_path / "r"), *SMALL]) == 1
    assert "interrupted" in capsys.readouterr().err


def test_a_second_ctrl_c_interrupts_at_once(tmp_path: Path) -> None:
    def work() -> Steps[None]:
        yield Progress("working", saved=tmp_path)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second Ctrl-C did not end it")

    with pytest.raises(KeyboardInterrupt) as stop:
        watch(work(), Console(file=io.StringIO()))
    assert not isinstance(stop.value, Interrupted)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out, _ = capsys.readouterr()
    for command in ("train", "resume", "recipes", "data", "sample", "doctor"):
        assert f"│ {command} " in out


def test_recipes_lists_all_and_describes_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipes"]) == 0
    out, _ = capsys.readouterr()
    assert all(any(row.startswith(f"{name} ") for row in out.splitlines()) for name in recipes.RECIPES)
    assert cli.main(["recipes", "mlp-bn"]) == 0
    out, _ = capsys.readouterr()
    assert "batch norm" in out
    for name, kind, default, _ in recipes.describe(recipes.recipe("mlp-bn")):
        row = next(row.split() for row in out.splitlines() if row.startswith(f"{name}="))
        assert row[:2] == [f"{name}={default}", kind.split("|")[0] + ("" if "|" in kind else ":")]


def test_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganvas.api.doctor.examine_machine", lambda: {"cores": 2, "plan": "cpu, bf16, channels last"})
    assert cli.main(["doctor"]) == 0
    out, _ = capsys.readouterr()
    assert [row.split() for row in out.splitlines()] == [["cores", "2"], ["plan", "cpu,", "bf16,", "channels", "last"]]


def test_data_reports_draws_and_converts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for i in range(3):
        Image.new("RGB", (16, 16), (80 * (i % 2), 0, 0)).save(tmp_path / "pictures" / f"{i}.png")
    (tmp_path / "pictures" / "broken.png").write_bytes(b"not a picture")
    assert cli.main(["data", "pictures"]) == 0
    out, _ = capsys.readouterr()
    assert "3 images" in out and "duplicates: 1" in out and "broken.png" in out
    with Image.open(tmp_path / "pictures-contact.png") as sheet:
        assert sheet.width > 2 * 48
    assert cli.main(["data", "pictures", "--out", "store"]) == 0
    assert (tmp_path / "store" / "contact.png").exists()
    converted = ganvas.open_data(str(tmp_path / "store"))
    assert len(converted) == 3
    assert cli.main(["data", "sine"]) == 0
    assert (tmp_path / "sine-contact.png").exists()
    np.savez(tmp_path / "solid.npz", points=np.eye(3))
    assert cli.main(["data", "solid.npz", "--out", "solid"]) == 0
    assert "points of dimension 3" in capsys.readouterr().out
    assert len(ganvas.open_data(str(tmp_path / "solid"))) == 3


def test_sample_writes_a_grid_an_archive_and_pictures(trained: Path, tmp_path: Path) -> None:
    def sample(*words: str) -> None:
        assert cli.main(["sample", str(trained), *words]) == 0

    sample("--out", str(tmp_path / "grid.png"))
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (8 * 50 + 2, 8 * 50 + 2)
    sample("--seeds", "5,7-8", "--out", str(tmp_path / "s.npz"))
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"images", "seeds"}
        images = arrays["images"]
        assert (images.shape, images.dtype, arrays["seeds"].tolist()) == ((3, 8, 8, 1), np.uint8, [5, 7, 8])
    sample("--seeds", "7", "--out", str(tmp_path / "pictures"))
    assert [file.name for file in (tmp_path / "pictures").iterdir()] == ["seed0007.png"]
    with Image.open(tmp_path / "pictures" / "seed0007.png") as picture:
        assert np.abs(np.asarray(picture).astype(int) - images[1, :, :, 0]).max() <= 1  # batches round differently
    sample("--seeds", "1-2", "--truncation", "0", "--out", str(tmp_path / "mean.npz"))
    with np.load(tmp_path / "mean.npz") as arrays:
        assert np.ptp(arrays["images"].astype(int), axis=0).max() <= 1


def test_sample_into_a_directory_with_a_dot(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "there.png").mkdir()
    for out in (f"{tmp_path}/out.v2/", str(tmp_path / "there.png")):
        assert cli.main(["sample", str(trained), "--seeds", "7", "--out", out]) == 0
        assert [file.name for file in Path(out).iterdir()] == ["seed0007.png"]


def test_an_archive_holds_its_arrays_alone_on_any_numpy(trained: Path, tmp_path: Path) -> None:
    """Before numpy 2.1, every keyword of savez was an array to store; ours is written entry by entry."""
    assert cli.main(["sample", str(trained), "--seeds", "7", "--out", str(tmp_path / "s.npz")]) == 0
    with zipfile.ZipFile(tmp_path / "s.npz") as archive:
        assert set(archive.namelist()) == {"images.npy", "seeds.npy"}


def test_sample_points(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ganvas.train("sine", out=tmp_path / "run", steps=1, device="cpu", precision="fp32", progress=False)
    file = str(run.path / "generator.safetensors")
    assert cli.main(["sample", file, "--seeds", "0-9", "--out", str(tmp_path / "points.npz")]) == 0
    with np.load(tmp_path / "points.npz") as arrays:
        assert (arrays["points"].shape, arrays["points"].dtype) == ((10, 2), np.float32)
    assert cli.main(["sample", file, "--out", str(tmp_path / "points.png")]) == 0
    assert (tmp_path / "points.png").exists()
    capsys.readouterr()
    assert "no picture each" in refused(capsys, "sample", file, "--out", str(tmp_path / "folder"))


def test_sample_refuses(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a .png, an .npz or a directory" in refused(capsys, "sample", str(trained), "--out", "grid.gif")
    assert "without labels" in refused(capsys, "sample", str(trained), "--label", "3", "--out", "grid.png")
    (tmp_path / "file").write_text("")
    assert cli.main(["sample", str(trained), "--out", str(tmp_path / "file" / "grid.png")]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_seeds() -> None:
    assert parse_seeds("0-3, 42") == [0, 1, 2, 3, 42]
    assert parse_seeds("7") == [7]
    fixes = {"5-2": "write 2-5", "": "0-35,42", "1,,2": "not a seed", "-3": "not a seed", "a-b": "'a-b'"}
    fixes["0-9999999999"] = "1,000,000 seeds"
    for wrong, fix in fixes.items():
        with pytest.raises(RequestError, match=fix):
            parse_seeds(wrong)


MEANS = {"critic/loss": 1.25, "generator/loss": 0.5, "critic/accuracy_real": 0.75, "critic/accuracy_fake": 0.5}


def trained_to(share: float, step: int, seconds: float, speed: float) -> Progress:
    text = summary(MEANS, speed, ())
    saved = Path("run")  # whose bar stays on the screen
    return TrainingProgress("training", share, 1.0, text, saved=saved, step=step, seconds=seconds)


def reported(*reports: Progress) -> Steps[None]:
    yield from reports


def test_lines_elsewhere_than_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), soft_wrap=True)
    watch(reported(trained_to(0.25, 1500, 75.0, 1234.4)), console)
    assert (
        console.file.getvalue().strip()
        == "step 1,500 (25%, 1:15)  critic 1.250  generator 0.500  accuracy 75% real 50% fake  1,234 images/s"
    )
    assert clock(3661) == "1:01:01"


def test_a_bar_on_a_terminal() -> None:
    console = Console(force_terminal=True, width=120, record=True)
    watch(reported(trained_to(0.5, 1, 1.0, 9.0), trained_to(1.0, 2, 2.0, 99.0)), console)
    shown = console.export_text()
    assert "step 2" in shown and "critic 1.250" in shown and "99 images/s" in shown
