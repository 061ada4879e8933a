"""The benchmarks measure what they say they measure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks import quality, speed, tutorial
from ganvas import data


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.open_data("digits")


def test_the_tutorials_pictures_are_the_same_items(digits: data.Dataset) -> None:
    pictures = tutorial.Pictures(digits.items[:, 0].numpy(), digits.labels.numpy())
    x, label = pictures[17]
    batch = digits.at(torch.tensor([17]))
    assert torch.allclose(x, batch.x[0], atol=1e-6)
    assert label == batch.label.item()
    assert len(pictures) == len(digits)


def test_the_tutorials_pictures_may_be_in_colour() -> None:
    pixels = torch.arange(2 * 4 * 5 * 3, dtype=torch.uint8).reshape(2, 4, 5, 3)
    x, _ = tutorial.Pictures(pixels.numpy(), torch.zeros(2).numpy())[1]
    assert torch.allclose(x, pixels[1].permute(2, 0, 1) / 127.5 - 1, atol=1e-6)


class Scale(nn.Module):
    """A generator (N, 3, ...) -> (N, 3) or a critic (N, 3) -> (N,) of one weight."""

    def __init__(self, weight: float, critic: bool) -> None:
        super().__init__()
        self.weight, self.critic = nn.Parameter(torch.tensor(weight)), critic

    def forward(self, x: Tensor) -> Tensor:
        y = self.weight * x.flatten(1)
        return y.mean(1) if self.critic else y


@pytest.mark.parametrize(("loop", "sides"), [(tutorial.mlp_bn, 1), (tutorial.dcgan, 2)])
def test_the_tutorials_play_the_game(loop: Callable[..., Iterator[tuple[float, float]]], sides: int) -> None:
    torch.manual_seed(0)
    generator, critic = Scale(0.0, critic=False), Scale(1e-9, critic=True)  # logits of 0: the losses are log 2 a side
    steps = loop(generator, critic, iter([torch.full((4, 3), 2.0)] * 50), 3)
    critic_loss, generator_loss = next(steps)
    assert critic_loss == pytest.approx(sides * math.log(2), abs=1e-6)
    assert generator_loss == pytest.approx(math.log(2), abs=1e-3)
    *_, (last, _) = steps
    assert last < critic_loss  # what is real lies at 2, what is generated at 0: the critic's weight grows
    assert critic.weight > 1e-3
    assert generator.weight != 0


def test_flops_of_a_product() -> None:
    a = torch.ones(3, 5)
    assert speed.flops(a @ a.T for _ in range(2)) == 2 * 3 * 5 * 3


def test_a_turn_takes_at_least_one_step() -> None:
    steps = iter(range(5))
    assert speed.rate(steps, seconds=0) > 0
    assert next(steps) == 1


def test_both_loops_of_a_contest_train_the_same_networks(digits: data.Dataset) -> None:
    precision, ours = speed.our_loop("mlp-bn", digits, 8, "fp32")
    theirs = speed.their_loop("mlp-bn", digits, 8)
    assert precision == "fp32"
    next(ours), next(theirs)
    forward = 2 * 8 * (64 * 128 + 128 * 256 + 256 * 512 + 512 * 1024 + 1024 * 64)
    assert speed.flops(theirs) > speed.flops(ours) > 4 * forward


def test_the_report_gives_the_ratio_of_each_round() -> None:
    contest = speed.Contest("x", "bf16", iter(()), iter(()), 10**9, 10**9, [4.0, 6.0, 9.0], [2.0, 2.0, 2.0])
    row = speed.report([contest], peak=12e9).splitlines()[-1]
    assert row == "| x | bf16 | 3.00 (2.00 to 4.50) | 6.0 | 2.0 | 1.00 | 1.00 | 50% | 17% |"


def test_speed_runs(capsys: pytest.CaptureFixture[str]) -> None:
    speed.main(
        [
            "--rounds",
            "2",
            "--seconds",
            "0",
            "--recipes",
            "mlp-bn",
            "--data",
            "digits",
            "--batch",
            "8",
            "--precision",
            "fp32",
        ]
    )
    printed = capsys.readouterr().out
    assert "digits, 1797 images, batch 8" in printed
    assert "| mlp-bn |" in printed


def test_speed_falls_back_on_digits_of_the_same_size(capsys: pytest.CaptureFixture[str]) -> None:
    images = speed.pictures("nowhere-to-be-found")
    assert images.shape == (1, 28, 28)
    assert "nowhere-to-be-found" in capsys.readouterr().out


def test_the_measure_tells_real_images_from_noise(digits: data.Dataset) -> None:
    measure = quality.image_measure(digits, digits, count=800, inception_count=0)
    real, noise = quality.some_images(digits, 800), torch.rand(800, 1, 8, 8) * 2 - 1
    assert set(measure(real)) == {"cnn-digits", "pixels"}
    for name, floor in measure(real).items():
        assert floor < 0.2 * measure(noise)[name]


def test_points_are_measured_by_what_they_should_follow() -> None:
    ring, sine = data.open_data("ring"), data.open_data("sine")
    assert quality.point_measure(ring)(ring.items)["modes of 8"] == 8
    assert quality.point_measure(ring)(ring.items * 0)["high quality"] == 0
    assert quality.point_measure(sine)(sine.items) == pytest.approx({"error": 0, "coverage": 1}, abs=1e-5)


def test_quality_writes_its_results_and_does_not_train_twice(tmp_path: Path) -> None:
    arguments = ["--data", "ring", "--minutes", "0.005", "--recipes", "gan,points", "--out", str(tmp_path)]
    quality.main(arguments)
    first = json.loads((tmp_path / "quality.json").read_text())
    assert [row["recipe"] for row in first["rows"]] == ["real data", "gan", "points"]
    assert first["rows"][0]["modes of 8"] == 8
    assert (tmp_path / "quality.md").read_text().count("\n|") == 5
    with Image.open(tmp_path / "quality.png") as picture:
        assert picture.width > 3 * 600
    quality.main(arguments)
    assert json.loads((tmp_path / "quality.json").read_text()) == first
