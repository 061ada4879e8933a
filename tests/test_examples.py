"""The examples run, and stay short enough to be read."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from PIL import Image

import ganvas
from ganvas.objectives import ADVERSARIAL

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.name)
def test_examples_are_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 60


def test_own_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "own_loop.py"))["main"](tmp_path / "grid.png", steps=2)
    assert "critic/loss" in capsys.readouterr().out
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (402, 402)


def test_frozen_generator(tmp_path: Path) -> None:
    run = ganvas.train("mlp", "digits", out=tmp_path / "run", steps=2, batch=8, progress=False)
    file = run.path / "generator.safetensors"
    runpy.run_path(str(EXAMPLES / "frozen_generator.py"))["main"](file, tmp_path / "way.png")
    with Image.open(tmp_path / "way.png") as way:
        assert way.width > 3.5 * way.height  # two rows of eight
        assert len(way.getcolors(maxcolors=2**24)) > 2


def test_loss_table(tmp_path: Path) -> None:
    example = runpy.run_path(str(EXAMPLES / "loss_table.py"))
    example["main"](tmp_path / "table.png")
    with Image.open(tmp_path / "table.png") as table:
        assert table.width > 2 * table.height
    loss, gradient = example["pull"](ADVERSARIAL["mm"], torch.tensor([-20.0, 20.0]))
    assert loss[0] == pytest.approx(0, abs=1e-6) and gradient[0] < 1e-6 < 0.99 < gradient[1]  # which is why ns exists
