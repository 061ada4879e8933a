"""The benchmarks that count modes: trials side by side are trials apart, and the tables say what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import pacgan, pacgan_table, stacked_mnist
from ganvas.comparison.work import Outcome
from ganvas.metrics import mode_report


def test_layers_side_by_side_are_layers_apart() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 7, 4)
    linears = pacgan.Linears(3, 4, 5)
    nn.init.normal_(linears.bias)
    for i in range(3):
        assert torch.allclose(linears(x)[i], x[i] @ linears.weight[i] + linears.bias[i], atol=1e-6)
    norms = pacgan.Norms(3, 4)
    for i in range(3):
        assert torch.allclose(norms(x)[i], nn.BatchNorm1d(4)(x[i]), atol=1e-5)
    maxouts = pacgan.Maxouts(3, 4, 2, pieces=5)
    pieces = maxouts.linear(x)
    assert maxouts(x).shape == (3, 7, 2)
    assert torch.equal(maxouts(x)[..., 1], pieces[..., 1::2].max(2).values)


def test_a_trial_does_not_depend_on_the_others() -> None:
    system = pacgan.build(2, pack=2, device="cpu", seed=0)
    games = system.phases[0].loss.__self__  # type: ignore[attr-defined]
    batch = pacgan.Mixtures([pacgan.known_modes("ring")] * 2, "cpu").batch(0, 200)

    def gradient(other: float) -> torch.Tensor:
        torch.manual_seed(1)
        batch.x[1] = other
        loss, _ = games.critic_loss(batch, 0)
        loss.backward(inputs=system.phases[0].params)
        found = system.phases[0].params[0].grad
        assert found is not None
        found = found.clone()
        system.phases[0].optimizer.zero_grad()
        return found

    near, far = gradient(0.0), gradient(5.0)
    assert torch.equal(near[0], far[0])
    assert not torch.equal(near[1], far[1])


def test_a_pack_is_judged_at_once() -> None:
    system = pacgan.build(1, pack=3, device="cpu", seed=0)
    games = system.phases[0].loss.__self__  # type: ignore[attr-defined]
    assert games.judge(torch.randn(1, 12, 2)).shape == (1, 4)


def test_each_trial_gets_the_points_of_its_own_mixture() -> None:
    modes = [pacgan.known_modes("ring"), pacgan.known_modes("grid")]
    torch.manual_seed(0)
    x = pacgan.Mixtures(modes, "cpu").batch(0, 2000).x
    for points, known in zip(x, modes, strict=True):
        report = mode_report(points, known.centres, known.sigma)
        assert report.modes == len(known.centres)
        assert report.high_quality > 0.98
        assert report.reverse_kl < 0.02


def test_the_mean_stands_with_its_standard_error() -> None:
    assert pacgan_table.mean_error([1.0, 2.0, 3.0, 4.0], 2) == "2.50 ± 0.65"  # s = 1.29, over √4
    assert pacgan_table.mean_error([8.0], 1) == "8.0"


def test_the_table_sets_the_last_measurement_beside_the_published_one() -> None:
    rows: list[dict[str, Any]] = [
        {"data": "ring", "pack": 2, "trial": t, "step": step, "modes": 6 + t, "quality": 90.0, "reverse_kl": 0.5}
        for t in (0, 1)
        for step in (10, 20)
    ]
    rows.append({**rows[0], "data": "grid", "pack": 1})
    ring, grid = pacgan_table.table(rows).splitlines()[2:]
    assert ring.startswith("| ring | PacGAN2 | 20 | 2 | 6.5 ± 0.5 | 7.9 ± 0.1 | 90.0 ± 0.0 | 95.6 ± 2.0 |")
    assert ring.endswith("| 0.50 ± 0.00 | 0.07 ± 0.03 |  |")
    assert grid.startswith("| grid | GAN | 10 | 1 | 6.0 | 17.3 ± 0.8 |")
    picture = pacgan_table.picture(rows)
    assert picture.width > 1.5 * picture.height  # a column a data set


def test_a_packing_goes_on_as_if_it_had_not_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacgan, "MANY", 3000)
    task = pacgan.Task(2, ("ring",), 2, steps=4, every=2, device="cpu", threads=1, out=tmp_path / "whole")
    whole = pacgan.play(task)
    assert [row["step"] for row in whole] == [2, 2, 4, 4]
    assert "reverse_kl_3000" in whole[-1]
    parted = replace(task, out=tmp_path / "parted")
    first = pacgan.play(replace(parted, steps=2))
    assert [row["step"] for row in first] == [2, 2]
    assert [row for row in pacgan.play(parted) if row["step"] == 4] == [row for row in whole if row["step"] == 4]
    assert pacgan.play(parted) == pacgan.play(parted)


def test_a_critic_step_takes_two_of_the_loop(tmp_path: Path) -> None:
    job = stacked_mnist.job(3, trial=1, steps=100, samples=50, device="cpu", out=tmp_path)
    assert (job.steps, job.options["batch"], job.options["pack"], job.path.name) == (200, 192, 3, "pack-3-1")


def test_the_table_of_stacked_mnist_counts_failures() -> None:
    figures = {"modes": {"value": 990.0}, "reverse_kl": {"value": 0.125}}
    outcomes = {
        1: [Outcome("ns", 0, figures=figures), Outcome("ns", 1, failure="diverged")],
        2: [Outcome("ns", 0, failure="x")],
    }
    one, two = stacked_mnist.table(outcomes, 1000).splitlines()[2:]
    assert one == "| DCGAN | 1,000 | 2 | 1 | 990.0 | 78.9 ± 6.46 | 0.125 | 4.50 ± 0.127 |"
    assert two == "| PacDCGAN2 | 1,000 | 1 | 1 |  | 1000.0 ± 0.00 |  | 0.06 ± 0.003 |"
