"""Projection: what the model drew is found again, what it cannot draw is distinguished from that."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import ganvas
from ganvas import cli, latent, media
from ganvas.errors import RequestError
from ganvas.frozen import TrainedGenerator
from ganvas.inversion import Calibration, PerceptualLoss, Search, distance, open_perceptual, project
from ganvas.inversion.calibration import shrink
from ganvas.inversion.search import begin, descend
from ganvas.nets import ConditionalGenerator, DCGANGenerator, VQGANDecoder

QUICK = Search(starts=64, keep=2, steps=40, polish=12)


def generator(seed: int = 0) -> TrainedGenerator:
    """A DCGAN whose pictures differ from one another."""
    torch.manual_seed(seed)
    decoder = DCGANGenerator((1, 16, 16), latent=6, width=8, norm=False)
    for weight in decoder.parameters():
        weight.data *= 6
    return TrainedGenerator(decoder.eval().requires_grad_(False), "dcgan")


def last(
    model: TrainedGenerator, targets: Tensor, search: Search = QUICK, guesses: Tensor | None = None
) -> tuple[int, Tensor]:
    steps = list(project(model, targets, search, guesses=guesses))
    return len(steps), steps[-1].distance


def test_the_distance_is_a_share_of_the_range() -> None:
    white, grey = torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    torch.testing.assert_close(distance(white, grey), torch.full((2,), 0.5))
    torch.testing.assert_close(distance(white, -white), torch.ones(2))


def test_what_was_generated_is_found_again_almost_exactly() -> None:
    model = generator()
    targets = model.sample(range(6))
    steps = list(project(model, targets, QUICK))
    found = steps[-1]
    assert (found.distance < 0.002).sum() >= 5
    torch.testing.assert_close(distance(model.decode(found.latents), targets), found.distance, atol=1e-6, rtol=1e-3)
    torch.testing.assert_close(model.decode(found.latents), found.images, atol=1e-5, rtol=0)
    for before, after in pairwise(steps):  # it never forgets what was nearer
        assert (after.distance <= before.distance).all()
    again = list(project(model, targets, QUICK))[-1]
    assert torch.equal(again.latents, found.latents)


def test_the_polish_is_worth_its_steps() -> None:
    model = generator()
    targets = model.sample(range(4))
    _, descended = last(model, targets, Search(64, 2, 25, 0))
    _, polished = last(model, targets, Search(64, 2, 15, 10))
    assert polished.median() < 0.1 * descended.median()


def test_grids_are_not_polished() -> None:
    torch.manual_seed(0)
    decoder = VQGANDecoder((1, 4, 4), 2, 8, 4, (1, 2), 1, (), 4).eval()
    model = TrainedGenerator(decoder, "vqgan")
    search = Search(starts=4, keep=1, steps=2, polish=3)
    assert len(list(project(model, model.sample([0]), search))) == 1 + 2


def test_noise_is_farther_than_samples() -> None:
    model = generator()
    noise = torch.rand(2, 1, 16, 16) * 2 - 1
    _, away = last(model, torch.cat([model.sample([1, 2]), noise]))
    assert away[2:].min() > 10 * away[:2].max()
    flat = distance(noise, torch.zeros_like(noise))
    assert all(
        "far" in Calibration(away[0].item()).verdict(*pair) for pair in zip(away[2:].tolist(), flat, strict=True)
    )


def test_latents_stay_among_those_that_are_drawn() -> None:
    model = generator()
    *_, found = project(model, torch.ones(1, 1, 16, 16), Search(32, 2, 30, 5))
    longest = model.latents(range(2 * 10**6, 2 * 10**6 + 32)).norm(dim=1).max()
    assert found.latents.norm() <= longest * (1 + 1e-5)


def test_a_guess_is_begun_from() -> None:
    model = generator()
    z = model.latents([5, 6])
    first = next(project(model, model.decode(z), Search(8, 2, 0, 0), guesses=z))
    assert first.distance.max() < 1e-6


def test_a_label_is_found_too() -> None:
    torch.manual_seed(0)
    inner = {"shape": [1, 8, 8], "latent": 3 + 4, "hidden": [16]}
    decoder = ConditionalGenerator((1, 8, 8), 3, "mlp", inner, classes=3, embedding=4)
    for weight in decoder.parameters():
        weight.data *= 2
    model = TrainedGenerator(decoder.eval().requires_grad_(False), "cgan", ("a", "b", "c"))
    *_, found = project(model, model.sample(range(6)), Search(256, 4, 60, 10))
    assert found.labels is not None
    assert (found.labels == torch.arange(6) % 3).sum() >= 5
    *_, fixed = project(model, model.sample([0]), Search(16, 2, 2, 1), label="b")
    assert fixed.labels is not None
    assert fixed.labels.tolist() == [1]


def test_a_look_leads_where_it_prefers() -> None:
    model = generator()
    one, other = model.sample([0, 1]).split(1)
    target = torch.cat([one[:, :, :8], other[:, :, 8:]], 2)  # which no latent draws

    def upper(x: Tensor, y: Tensor) -> Tensor:
        return (x - y)[:, :, :8].square().mean((1, 2, 3))

    def descended(look: PerceptualLoss | None) -> float:
        state = begin(model, target, Search(64, 1), None, None)
        for _ in descend(state, Search(64, 1, 80, weight=100), look):
            pass
        return upper(model.decode(state.z[:, 0]), target).item()

    assert descended(upper) < 0.5 * descended(None)


def test_pictures_that_fill_the_memory_are_descended_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = generator()
    targets = model.sample(range(3))

    def found() -> tuple[Tensor, int]:
        sizes: list[int] = []
        hook = model.decoder.register_forward_hook(lambda _, given, __: sizes.append(len(given[0])))
        *_, last = project(model, targets, Search(16, 2, 3, 0))
        hook.remove()
        return last.latents, max(sizes)

    together, most = found()
    monkeypatch.setattr(TrainedGenerator, "batch", property(lambda _: 2))
    apart, few = found()
    assert (most, few) == (16, 2)
    torch.testing.assert_close(apart, together, atol=1e-4, rtol=0)


def test_large_pictures_are_looked_at_from_afar() -> None:
    x = torch.rand(2, 3, 16, 16)
    assert torch.equal(shrink(x), x)
    fine = x.repeat_interleave(64, 2).repeat_interleave(64, 3)
    torch.testing.assert_close(shrink(fine), x.repeat_interleave(16, 2).repeat_interleave(16, 3))


def test_looks_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANVAS_WEIGHTS", raising=False)  # where LPIPS may be
    assert open_perceptual("none", "digits", (1, 8, 8), "cpu") is None
    look = open_perceptual("cnn", "digits", (1, 8, 8), "cpu")
    assert look is not None
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(look(x, torch.zeros(2, 1, 8, 8)).sum(), [x])
    assert slope.abs().max() > 0
    assert look(x.detach(), x.detach()).max() == 0
    assert open_perceptual("auto", "shapes", (3, 32, 32), "cpu") is None


def test_what_cannot_be_looked_for_is_refused() -> None:
    with pytest.raises(RequestError, match="resize"):
        next(project(generator(), torch.zeros(1, 3, 16, 16)))
    with pytest.raises(RequestError, match="no classifier of shapes"):
        open_perceptual("cnn", "shapes", (3, 32, 32), "cpu")


def test_the_verdict_knows_what_is_usual() -> None:
    calibration = Calibration(own=0.003, data=0.06)
    assert calibration.verdict(0.005, 0.3) == "found"
    assert calibration.verdict(0.08, 0.3) == "near"
    assert calibration.verdict(0.41, 0.5) == (
        "far from what the model draws: 0.41, where its own samples are found to 0.003, pictures of its data to 0.060"
    )
    assert "far" in calibration.verdict(0.07, 0.08)  # hardly nearer than a grey picture
    assert Calibration(own=0.003).verdict(0.1, 0.4) == "near"
    assert Calibration(own=0.12).verdict(0.2, 0.4) == "near"  # where not even its own samples are found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE of the digits, trained just long enough to be one: its run holds an encoder."""
    path = tmp_path_factory.mktemp("vae") / "run"
    options = {"width": 8, "latent": 4, "monitor_every": 0}
    ganvas.train("vae", "digits", out=path, steps=60, options=options, device="cpu", precision="fp32", progress=False)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """A digit and noise."""
    digit, noise = tmp_path / "digit.png", tmp_path / "noise.png"
    media.save_png(media.single(ganvas.open_data("digits").at(torch.tensor([3])).x[0]), digit)
    media.save_png(media.single(torch.rand(1, 8, 8) * 2 - 1), noise)
    return [digit, noise]


FEW = ("--starts", "16", "--keep", "2", "--steps", "5", "--polish", "2", "--compare", "2")


def test_the_command_writes_what_the_others_read(
    run: Path, pictures: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, video = tmp_path / "z.npz", tmp_path / "way"
    assert cli.main(["project", str(run), *map(str, pictures), *FEW, "--out", str(out), "--video", f"{video}/"]) == 0
    said = capsys.readouterr().out
    assert "digit.png" in said
    assert "pictures of its data to" in said
    assert f"2 latents in {out}" in said
    assert 6 < len(list(video.iterdir())) <= 8
    z = latent.read_latents(out, torch.zeros(1, 4))
    with np.load(out) as saved:
        shown = distance(ganvas.frozen.load_generator(run).decode(z), torch.cat([digit_of(path) for path in pictures]))
        np.testing.assert_allclose(saved["distance"], shown.numpy(), atol=1e-3)
        assert [Path(name).name for name in saved["images"]] == ["digit.png", "noise.png"]
    with Image.open(out.with_suffix(".png")) as picture:
        assert picture.height > 2 * 48
    assert cli.main(["sample", str(run), "--latents", str(out), "--out", str(tmp_path / "a.png")]) == 0


@pytest.mark.parametrize("name", ["", "autoencoder.safetensors"])
def test_a_search_begins_from_what_the_encoder_says(run: Path, name: str, pictures: list[Path], tmp_path: Path) -> None:
    none = ("--starts", "1", "--keep", "1", "--steps", "0", "--polish", "0", "--compare", "0")
    assert cli.main(["project", str(run / name), str(pictures[0]), *none, "--out", str(tmp_path / "z.npz")]) == 0
    expected = ganvas.frozen.load_autoencoder(run).encode(digit_of(pictures[0]))
    torch.testing.assert_close(latent.read_latents(tmp_path / "z.npz"), expected)


def digit_of(path: Path) -> Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image)).float()[None, None] / 127.5 - 1


def test_an_image_is_edited_through_its_latent(
    run: Path, pictures: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "d.npz"
    assert cli.main(["directions", str(run), "--count", "2", "--out", str(out)]) == 0
    words = ["edit", str(run), "--image", str(pictures[0]), "--direction", f"{out}:1", "--out", str(tmp_path / "e.png")]
    assert cli.main(words) == 0
    assert "digit.png is found; a pixel differs by" in capsys.readouterr().out


def test_the_command_refuses_with_its_fix(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "torn.png").write_bytes(b"no picture")
    for words, said in {
        ("--out", "z.npz"): "IMAGES",
        ("none.png", "--out", "z.npz"): "cannot read none.png",
        (str(tmp_path / "torn.png"), "--out", "z.npz"): "cannot be decoded",
        (str(tmp_path / "torn.png"), "--out", "z.png"): ".npz",
        (str(tmp_path / "torn.png"), "--out", "z.npz", "--starts", "0"): "1 or more",
        (str(tmp_path / "torn.png"), "--out", "z.npz", "--video", "z.avi"): ".mp4",
        (str(tmp_path / "torn.png"), "--out", str(tmp_path / "torn.npz")): "torn.png is one of the pictures that were",
    }.items():
        assert cli.main(["project", str(run), *words]) == 2
        assert said in capsys.readouterr().err
    assert (tmp_path / "torn.png").read_bytes() == b"no picture"
