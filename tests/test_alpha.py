"""Images with transparency: their arithmetic, and every family and verb with four channels."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas import alpha, augment, features, film, media
from ganvas.data import Dataset
from ganvas.nets import DCGANCritic
from ganvas.objectives import PENALTIES
from ganvas.painting.crops import on_colours

SIDE, COUNT = 16, 24
WORDS = ("red disc", "blue disc")


def discs(count: int = COUNT, side: int = SIDE) -> np.ndarray:
    """Premultiplied discs of two colours with soft edges on nothing, (N, 4, side, side) uint8."""
    place, found = np.arange(side) - (side - 1) / 2, []
    for i in range(count):
        away = np.hypot(place[:, None] - i % 5 + 2, place - i % 3 + 1)
        pixels = np.empty((side, side, 4), np.uint8)
        pixels[..., :3] = ((220, 40, 30), (30, 60, 210))[i % 2]
        pixels[..., 3] = np.rint(255 * np.clip(side / 4 - away, 0, 1))
        found.append(alpha.premultiplied(pixels))
    return np.stack(found).transpose(0, 3, 1, 2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of discs with classes and captions."""
    labels = torch.arange(COUNT) % 2
    captions = tuple(WORDS[i % 2] for i in range(COUNT))
    return Dataset("discs", torch.from_numpy(discs()), labels, WORDS, captions).save(tmp_path_factory.mktemp("d") / "s")


@pytest.fixture
def x() -> torch.Tensor:
    return torch.from_numpy(discs()).float() / 127.5 - 1


# -- arithmetic --------------------------------------------------------------------------------------------------------


def test_what_is_written_straight_is_read_back_to_the_bit() -> None:
    colour, opacity = np.meshgrid(np.arange(256), np.arange(256))
    pixels = np.stack([np.minimum(colour, opacity)] * 3 + [opacity], -1).astype(np.uint8)
    assert (alpha.premultiplied(alpha.straight(pixels)) == pixels).all()
    assert alpha.straight(np.array([[200, 10, 0, 100]], np.uint8)).tolist() == [[255, 26, 0, 100]]  # clamped to alpha


def test_composites_are_those_of_pillow(x: torch.Tensor) -> None:
    for colour in ((255, 255, 255), (0, 0, 0), (10, 200, 90)):
        laid = Image.new("RGBA", (SIDE, SIDE), colour)
        laid.alpha_composite(media.single(x[3]))
        background = torch.tensor(colour).view(3, 1, 1) / 127.5 - 1
        ours = media.to_uint8(alpha.composite(x[3:4], background))[0]
        assert np.abs(ours.astype(int) - np.asarray(laid.convert("RGB"))).max() <= 1
    assert alpha.flat(x[:, :3]) is not x and torch.equal(alpha.flat(x[:, :3]), x[:, :3])


def test_impossible_colours_are_clamped_to_alpha() -> None:
    wild = 3 * torch.randn(4, 4, 5, 5)
    held = alpha.possible(wild)
    assert (held[:, :3] <= held[:, 3:]).all() and held.abs().max() <= 1
    assert torch.equal(held[:, 3], wild[:, 3].clamp(-1, 1))
    assert torch.equal(alpha.possible(wild[:, :3]), wild[:, :3].clamp(-1, 1))


# -- augmentation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["color", "color,translation,cutout"])
def test_augmentation_keeps_colour_within_alpha_and_hides_what_is_hidden(policy: str, x: torch.Tensor) -> None:
    torch.manual_seed(0)
    for _ in range(5):
        y = augment.diff_augment(x, policy)
        assert (y[:, :3] <= y[:, 3:] + 1e-6).all() and y.min() >= -1 - 1e-6
        if policy == "color":
            assert torch.equal(y[:, 3], x[:, 3]) and not torch.allclose(y[:, :3], x[:, :3])


def test_opaque_pictures_change_as_without_alpha() -> None:
    opaque = torch.cat([torch.rand(6, 3, 8, 8) - 0.5, torch.ones(6, 1, 8, 8)], 1)
    for change in (lambda x: augment.diff_augment(x, "color"), augment.Adaptive(("color",), p=0.8)):
        torch.manual_seed(1)
        with_alpha = change(opaque)
        torch.manual_seed(1)
        without = change(opaque[:, :3])
        assert torch.allclose(with_alpha[:, :3], without.clamp(-1, 1), atol=1e-5)
        assert torch.allclose(with_alpha[:, 3], torch.ones(()))


def test_what_comes_from_beyond_the_border_is_transparent() -> None:
    full = torch.ones(3, 4, 8, 8)
    torch.manual_seed(0)
    for moved in (augment.translate(full, 3, 3), augment.diff_augment(full, "cutout")):
        assert moved.unique().tolist() == [-1, 1]
        assert (moved.amin(1) == moved.amax(1)).all()  # all four channels alike
    shift = torch.tensor([[1.0, 0, 5], [0, 1, 0], [0, 0, 1]]).expand(3, 3, 3)
    assert (augment.warp(full, shift)[..., 3:] == -1).all() and (augment.warp(full, shift)[..., :3] == 1).all()
    ada = augment.Adaptive(augment.GROUPS, p=0.8)
    y = ada(full)
    assert (y[:, :3] <= y[:, 3:] + 1e-6).all() and y.min() >= -1 - 1e-5


# -- critics -----------------------------------------------------------------------------------------------------------


def test_a_critic_sees_pairs_on_the_same_colours_in_every_pass(x: torch.Tensor) -> None:
    torch.manual_seed(0)
    seen: list[torch.Tensor] = []
    critic = alpha.Composites(lambda x: seen.append(x) or x.flatten(1).mean(1), len(x), "cpu")
    critic(x)
    critic(torch.cat([x, x.flip(0)]))
    assert seen[0].shape == (COUNT, 7, SIDE, SIDE)
    assert torch.equal(seen[1][:COUNT], seen[0])
    assert torch.equal(seen[0][:, 4:], alpha.composite(x, critic.colours))
    corner = seen[1][:, 4:, 0, 0]  # where nothing hides the background
    assert torch.allclose(corner[:COUNT], corner[COUNT:], atol=1e-6)
    assert critic.colours.flatten(1).unique(dim=0).shape == (COUNT, 3)


@pytest.mark.parametrize("name", ["gp", "r1", "fd-r1"])
def test_penalties_follow_the_four_channels(name: str, x: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = DCGANCritic((7, SIDE, SIDE), 4, 8, "leaky", "none", 0.0)
    critic = alpha.Composites(network, len(x), "cpu")
    found = PENALTIES[name](critic, x.clone().requires_grad_(), x.flip(0))
    assert found.shape == (COUNT,) and found.isfinite().all()


# -- families ----------------------------------------------------------------------------------------------------------

TINY = {"batch": 8, "log_every": 1, "sample_every": 2, "checkpoint_every": 2, "monitor_every": 2}
GAN = {"net": "dcgan", "width": 8, "max_width": 8, "latent": 8}
FAMILIES = {
    "gan": {**GAN, "augment": "diffaugment"},
    "r3gan": {"width": 8, "max_width": 8, "augment": "ada"},
    "began": {**GAN, "objective": "began"},
    "cgan": {**GAN, "rule": "embedding", "objective": "wgan-gp"},
    "prompt-gan": GAN,
    "vae": {"width": 8, "latent": 4, "held_out": 0.3},
    "diffusion": {"width": 8, "levels": 1, "sampling_steps": 2},
    "vqgan": {"ch": 8, "z_channels": 8, "embed_dim": 4, "n_embed": 8, "held_out": 0.3, "critic_start": 0},
    "cnn": {"held_out": 0.3, "widths": "8,8", "hidden": 8},
    "clip": {"held_out": 0.3, "widths": "8,8", "gallery": 2, "dim": 8, "text_width": 8, "text_layers": 1, "heads": 1},
}
RECIPES = {"began": "gan"}


def train(family: str, data: Path, out: Path, steps: int = 2, **more: object) -> ganvas.Run:
    options = {**FAMILIES[family], **TINY, **more}
    recipe = RECIPES.get(family, family)
    return ganvas.train(recipe, str(data), out=out, steps=steps, options=options, device="cpu", progress=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_draws_and_loads_four_channels(family: str, data: Path, tmp_path: Path) -> None:
    run = train(family, data, tmp_path / "run")
    with Image.open(run.pictures[-1]) as sheet:
        assert sheet.mode == "RGB"
    assert (tmp_path / "run" / "report.html").is_file()
    if family in ("cnn", "clip"):
        return
    drawn = ganvas.sample(str(run.path), seeds="0-3", device="cpu", progress=False)
    assert drawn.images.shape == (4, 4, SIDE, SIDE)
    drawn.save(tmp_path / "each")
    with Image.open(tmp_path / "each" / "seed0002.png") as one:
        assert (one.mode, one.size) == ("RGBA", (SIDE, SIDE))
        again = alpha.premultiplied(np.asarray(one)).transpose(2, 0, 1) / 127.5 - 1
    assert np.abs(again - alpha.possible(drawn.images[2]).numpy()).max() < 0.01


def test_a_run_goes_on_to_the_same_bits(data: Path, tmp_path: Path) -> None:
    whole = train("gan", data, tmp_path / "whole", steps=4)
    part = train("gan", data, tmp_path / "part", steps=2)
    ganvas.resume(str(part.path), steps=4, progress=False)
    for name in ("generator.safetensors", "checkpoints/step-000004/model.safetensors", "samples/step-000004.png"):
        assert (whole.path / name).read_bytes() == (part.path / name).read_bytes()


# -- files, films and verbs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [".webp", ".gif"])
def test_animations_keep_alpha(kind: str, x: torch.Tensor, tmp_path: Path) -> None:
    frames = [film.picture(one[None]) for one in x[:3]]
    assert list(film.write(frames, tmp_path / f"film{kind}", 10)) == [1, 2, 3]
    with Image.open(tmp_path / f"film{kind}") as found:
        for i, frame in enumerate(frames):
            found.seek(i)
            ours, theirs = np.asarray(frame), np.asarray(found.convert("RGBA"))
            kept = ours[..., 3] if kind == ".webp" else 255 * (ours[..., 3] >= film.SEEN)
            assert (theirs[..., 3] == kept).all()
            seen = ours[..., 3] == 255
            assert np.abs(theirs[seen].astype(int) - ours[seen]).max() <= 12  # lossy


@pytest.mark.filterwarnings("ignore:Exception ignored.*:pytest.PytestUnraisableExceptionWarning")  # its reader's pipes
@pytest.mark.parametrize(("kind", "decoder", "hidden"), [(".mov", (), 0), (".webm", ("-c:v", "libvpx-vp9"), 0)])
def test_videos_keep_alpha(kind: str, decoder: tuple[str, ...], hidden: int, x: torch.Tensor, tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frame = film.picture(x[0][None])
    list(film.write([frame, frame], tmp_path / f"film{kind}", 10))
    raw = ("-v", "error", "-f", "rawvideo", "-pix_fmt", "rgba", "-frames:v", "1", "-")
    command = [ffmpeg.get_ffmpeg_exe(), *decoder, "-i", str(tmp_path / f"film{kind}"), *raw]
    found = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.uint8)
    found, ours = found.reshape(256, 256, 4).astype(int), np.asarray(frame)
    assert np.abs(found[..., 3] - ours[..., 3]).max() <= 12 and found[0, 0, 3] == hidden
    seen = ours[..., 3] == 255
    assert np.abs(found[seen] - ours[seen]).max() <= 12


def test_an_mp4_is_laid_on_white_and_says_so(x: torch.Tensor) -> None:
    (said,) = film.losses("walk.mp4", (4, 8, 8))
    assert "white" in said.what and not list(film.losses("walk.webm", (4, 8, 8)))
    assert not list(film.losses("walk.mp4", (3, 8, 8)))
    assert media.on_white(film.picture(x[:1])).getpixel((0, 0)) == (255, 255, 255)


def test_sheets_show_a_checkerboard(x: torch.Tensor) -> None:
    sheet = np.asarray(media.grid(x[:4]))
    assert {204, 255} <= set(np.unique(sheet)) and sheet.shape[2] == 3


def test_features_say_what_becomes_of_transparency(x: torch.Tensor) -> None:
    data = Dataset("discs", torch.from_numpy(discs()))
    pixels = features.open_features("pixels", dataset=data)
    assert pixels(x).shape == (COUNT, 2 * 3 * SIDE * SIDE) and "on black" in pixels.transparency
    digits = features.open_features("cnn-digits")
    assert torch.allclose(digits(x), digits(alpha.flat(x)))


def test_crops_of_a_painting_are_laid_on_colours_of_their_seeds(x: torch.Tensor) -> None:
    seeds = torch.arange(COUNT)
    assert torch.equal(on_colours(x, seeds)[3:5], on_colours(x[3:5], seeds[3:5]))
    assert on_colours(x, seeds)[:, :, 0, 0].unique(dim=0).shape == (COUNT, 3)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train("gan", data, tmp_path_factory.mktemp("gan") / "run").path


def test_verbs_take_four_channels(run: Path, x: torch.Tensor, tmp_path: Path) -> None:
    quiet = {"device": "cpu", "progress": False}
    media.single(x[0]).save(tmp_path / "disc.png")
    ganvas.sample(str(run), seeds="0-3", out=tmp_path / "samples.npz", **quiet)
    with np.load(tmp_path / "samples.npz") as kept:
        drawn = ganvas.sample(str(run), seeds="0-3", **quiet).images
        assert (kept["images"] == media.to_uint8(drawn)).all() and kept["images"].shape == (4, SIDE, SIDE, 4)
        again = ganvas.open_data(str(tmp_path / "samples.npz")).items.numpy()
        assert (again == alpha.premultiplied(kept["images"]).transpose(0, 3, 1, 2)).all()
    ganvas.breed(str(run), parents="1,2", children=1, out=tmp_path / "litter", **quiet)
    with Image.open(tmp_path / "litter" / "child-00.png") as child:
        assert child.mode == "RGBA"
    found = ganvas.project(str(run), tmp_path / "disc.png", starts=4, keep=1, steps=1, polish=0, compare=0, **quiet)
    assert torch.allclose(found.targets[0], x[0])
    ganvas.export(str(run), out=tmp_path / "gan.pt2", progress=False)
    extra = {"ganvas.json": ""}
    torch.export.load(tmp_path / "gan.pt2", extra_files=extra)
    assert "premultiplied" in json.loads(extra["ganvas.json"])["alpha"]
