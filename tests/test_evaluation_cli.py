"""`ganvas evaluate`: the table, the sentences, and the files that it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ganvas
from ganvas import cli, files
from ganvas.data import open_data

QUICK = ("--metrics", "fid,copies", "--samples", "60", "--device", "cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "my run"
    options = {"hidden": "8", "critic_hidden": "8", "latent": "4", "batch": "8"}
    ganvas.train("mlp", "digits", out=path, steps=2, device="cpu", precision="fp32", options=options, progress=False)
    return path


def test_a_run_is_measured_and_keeps_its_figures(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    file = tmp_path / "also" / "figures.json"
    assert cli.main(["evaluate", str(run), "--json", str(file), *QUICK]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = [line for line in out.splitlines() if not line.startswith("written: ")]
    assert lines[0] == (
        f"60 samples of {run} against 898 items of digits, a random half of the training split; features: cnn-digits"
    )
    assert lines[2].split() == ["value", "95", "%", "real", "meaning"]
    fid = json.loads((run / "metrics.json").read_bytes())["figures"]["fid"]
    low, high = (f"{fid[name]:.4g}" for name in ("low", "high"))
    assert lines[3].split()[:6] == ["fid", "↓", f"{fid['value']:.4g}", low, "to", high]
    assert lines[3].rstrip().endswith(fid["meaning"])
    assert lines[4].startswith("copies ↓")
    assert "\nMemorisation: no sign of it" in out
    assert "\nWarning: digits has no test split" in out
    assert f"written: {run / 'metrics.json'}, nearest neighbours: {run / 'neighbours.png'}\n" in out
    assert file.read_bytes() == (run / "metrics.json").read_bytes()
    assert file.with_name("neighbours.png").is_file()
    assert "of 1,797 training items in cnn-digits" in (run / "report.html").read_text(encoding="utf-8")


def test_what_was_asked_for_is_written_though_the_run_cannot_be(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = files.write

    def elsewhere(path: Path, content: bytes, *, flush: bool = True) -> None:
        if path.is_relative_to(run):
            raise PermissionError(13, "Permission denied")
        write(path, content, flush=flush)

    monkeypatch.setattr(files, "write", elsewhere)
    assert cli.main(["evaluate", str(run), "--json", str(tmp_path / "a.json"), *QUICK]) == 1
    out, err = capsys.readouterr()
    assert f"cannot write {run / 'metrics.json'}: permission denied" in err
    fid = json.loads((tmp_path / "a.json").read_bytes())["figures"]["fid"]["value"]
    assert f"fid {fid:.4g}" in out  # what took long is not lost
    assert (tmp_path / "a.json").is_file()


def test_points_that_were_saved_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "points.npz", points=open_data("grid", seed=1).items[:500].numpy())
    words = ["evaluate", str(tmp_path / "points.npz"), "--data", "grid", "--metrics", "modes", "--device", "cpu"]
    assert cli.main(words) == 0
    out, _ = capsys.readouterr()
    assert "modes ↑" in out and "25 to 25" in out
    assert "written" not in out
    assert [file.name for file in tmp_path.iterdir()] == ["points.npz"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "digits", "--metrics", "fdi"), "unknown metric 'fdi'; did you mean fid"),
        (("--data", "digits", "--features", "cnn-digit"), "cnn-digit"),
        (("--data", "digits", "--samples", "3"), "3 samples and 898 real items are too few"),
        ((), "--data: there is nothing to compare the samples with"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "some.npz", images=np.zeros((30, 8, 8), np.uint8))
    assert cli.main(["evaluate", str(tmp_path / "some.npz"), "--device", "cpu", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err and err.count("\n") == 1


def test_a_console_without_arrows_loses_no_figure(tmp_path: Path) -> None:
    words = ["evaluate", "digits", "--data", "digits", "--json", str(tmp_path / "figures.json"), *QUICK]
    plain = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}  # as Windows writes into a file
    found = subprocess.run([sys.executable, "-m", "ganvas", *words], env=plain, capture_output=True, check=False)
    assert (found.returncode, found.stderr) == (0, b"")
    assert b"fid ?" in found.stdout
    assert (tmp_path / "figures.json").is_file()


def test_a_file_that_cannot_be_written_is_told(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["evaluate", str(run), "--json", str(tmp_path / "file" / "a.json"), *QUICK]) == 1
    assert "cannot write" in capsys.readouterr().err
