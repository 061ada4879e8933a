"""The commands about latents: what each writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas import cli, latent
from ganvas.latent import Directions
from ganvas.nets import MLPGenerator


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("run") / "generator.safetensors"
    decoder = MLPGenerator((1, 8, 8), latent=4, hidden=(16,)).eval()
    for weight in decoder.parameters():
        weight.data *= 3
    ganvas.TrainedGenerator(decoder, "mlp").write(path)
    return path


@pytest.fixture(scope="module")
def directions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("directions") / "directions.npz"
    Directions(torch.eye(4)[:3], ("up", "down", "size=large"), {"effect": np.ones(3)}).write(path)
    return path


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert cli.main(list(map(str, words))) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("ganvas: ") and err.count("\n") == 1
    return err


def run(*words: object) -> None:
    assert cli.main(list(map(str, words))) == 0


def frames(path: Path) -> int:
    with Image.open(path) as clip:
        return clip.n_frames  # type: ignore[attr-defined]


def test_a_walk_of_seeds(generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "walk.webp"
    run("walk", generator, "--seeds", "0,7,42", "--seconds", "0.4", "--fps", "10", "--easing", "sin6", "--out", out)
    assert capsys.readouterr().out == f"12 frames, 1.2 seconds, in {out}\n"
    assert frames(out) == 12
    run("walk", generator, "--seeds", "0,7,42", "--seconds", "0.4,0.2", "--fps", "10", "--no-loop", "--out", out)
    assert frames(out) == 6


def test_a_walk_into_pictures_begins_at_its_seed(generator: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames"
    run("walk", generator, "--seeds", "5,6", "--seconds", "0.2", "--fps", "10", "--out", f"{out}/")
    assert len(list(out.iterdir())) == 4
    with Image.open(out / "frame-00000.png") as first:
        shown = np.asarray(first)[::32, ::32, 0]
    expected = ganvas.media.to_uint8(ganvas.load(generator).sample([5]))[0, :, :, 0]
    assert np.array_equal(shown, expected)


@pytest.mark.filterwarnings("ignore:Exception ignored.*:pytest.PytestUnraisableExceptionWarning")  # its reader's pipes
def test_a_looping_walk_of_five_is_a_film_that_closes(generator: Path, tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    seeds, out = [0, 7, 42, 3, 9], tmp_path / "loop.mp4"
    named, seconds = ",".join(map(str, seeds)), "2,1,2,1.5,0.5"
    run("walk", generator, "--seeds", named, "--seconds", seconds, "--fps", "10", "--out", out)
    facts = next(reader := ffmpeg.read_frames(out))
    assert (facts["codec"], facts["size"], facts["fps"], facts["duration"]) == ("h264", (256, 256), 10, 7)
    assert facts["pix_fmt"].startswith("yuv420p(tv, bt709")
    shown = [np.frombuffer(frame, np.uint8).reshape(256, 256, 3)[16::32, 16::32, 0] for frame in reader]
    film, keys = np.stack(shown) / 255, ganvas.media.to_uint8(ganvas.load(generator).sample(seeds))[..., 0] / 255
    assert len(film) == 20 + 10 + 20 + 15 + 5
    assert np.abs(film[[0, 20, 30, 50, 65]] - keys).mean() < 0.02  # each leg begins at its keyframe
    steps = np.sqrt(np.square(np.roll(film, -1, 0) - film).mean((1, 2)))  # the last of them leads to the first frame
    cuts = np.sqrt(np.square(np.roll(keys, -1, 0) - keys).mean((1, 2)))
    assert steps[-1] <= steps[65:-1].max() + 0.01
    assert steps.max() < 0.4 * cuts.max()


def test_a_grid_of_walks_and_one_through_directions(generator: Path, directions: Path, tmp_path: Path) -> None:
    short = ("--seconds", "0.2", "--fps", "10")
    run("walk", generator, "--seeds", "0-5", "--grid", "3x1", *short, "--out", tmp_path / "grid.gif")
    with Image.open(tmp_path / "grid.gif") as clip:
        assert (clip.n_frames, clip.size) == (4, (3 * 88, 88))  # type: ignore[attr-defined]
    run("walk", generator, "--through", f"{directions}:1", *short, "--out", tmp_path / "tour.gif")
    assert frames(tmp_path / "tour.gif") == 2 * 3 * 2  # two directions, three legs each, two frames a leg


def test_saved_latents_are_keyframes_and_samples(generator: Path, tmp_path: Path) -> None:
    z = latent.from_seeds(ganvas.load(generator).decoder, [8, 9])
    latent.write_latents(tmp_path / "z.npz", z)
    run(
        "walk",
        generator,
        "--latents",
        tmp_path / "z.npz",
        "--seconds",
        "0.2",
        "--fps",
        "10",
        "--out",
        tmp_path / "a.gif",
    )
    assert frames(tmp_path / "a.gif") == 4
    run("sample", generator, "--latents", tmp_path / "z.npz", "--out", tmp_path / "a.npz")
    run("sample", generator, "--seeds", "8,9", "--out", tmp_path / "b.npz")
    with np.load(tmp_path / "a.npz") as saved, np.load(tmp_path / "b.npz") as drawn:
        assert np.array_equal(saved["images"], drawn["images"])
    run("sample", generator, "--latents", tmp_path / "z.npz", "--out", tmp_path / "pictures/")
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_an_edit_is_a_strip_or_a_film(generator: Path, directions: Path, tmp_path: Path) -> None:
    run("edit", generator, "--seed", 3, "--direction", f"{directions}:size=large", "--out", tmp_path / "strip.png")
    run("edit", generator, "--seed", 3, "--direction", f"{directions}:2", "--out", tmp_path / "same.png")
    assert (tmp_path / "strip.png").read_bytes() == (tmp_path / "same.png").read_bytes()
    with Image.open(tmp_path / "strip.png") as strip:
        assert strip.width > 6.5 * strip.height
    run(
        "edit",
        generator,
        "--seed",
        3,
        "--direction",
        directions,
        "--strength",
        "-2:2",
        "--steps",
        5,
        "--out",
        tmp_path / "e.gif",
    )
    assert frames(tmp_path / "e.gif") == 8  # there and back, neither end twice


def test_litters_breed_on_and_keep_their_line(generator: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    run("breed", generator, "--parents", "3,17", "--children", 4, "--out", one)
    assert {file.name for file in one.iterdir()} == {
        *("lineage.json", "latents.npz", "sheet.png"),
        *(f"child-{i:02d}.png" for i in range(4)),
    }
    run("breed", generator, "--parents", f"{one}/1,{one}/3,8", "--children", 3, "--seed", 4, "--out", two)
    lineage = json.loads((two / "lineage.json").read_bytes())
    decoder = ganvas.load(generator).decoder
    with np.load(two / "latents.npz") as saved:
        assert list(saved["names"]) == lineage["children"]
        for name, z in zip(lineage["children"], saved["latents"], strict=True):
            assert np.array_equal(latent.regrow(decoder, lineage["individuals"], name).numpy(), z)
    run(
        "breed", generator, "--parents", f"{one}/1,{one}/3,8", "--children", 3, "--seed", 4, "--out", tmp_path / "again"
    )
    assert (tmp_path / "again" / "latents.npz").read_bytes() == (two / "latents.npz").read_bytes()


def test_what_cannot_be_done_is_refused_with_its_fix(
    generator: Path,
    directions: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    np.savez(tmp_path / "other.npz", latents=np.zeros((1, 9), np.float32))
    for words, said in {
        ("walk", generator, "--seeds", "0", "--out", "a.gif"): "two keyframes",
        ("walk", generator, "--seeds", "0-4", "--grid", "2x1", "--out", "a.gif"): "multiple of 2",
        ("walk", generator, "--seconds", "long", "--out", "a.gif"): "--seconds",
        ("walk", generator, "--grid", "2", "--out", "a.gif"): "COLUMNSxROWS",
        ("walk", generator, "--out", "a.avi"): ".mp4",
        ("walk", generator, "--latents", "other.npz", "--out", "a.gif"): "shape",
        ("edit", generator, "--direction", directions, "--out", "a.png"): "--seed",
        ("edit", generator, "--direction", f"{directions}:side", "--seed", "1", "--out", "a.png"): "size=large",
        ("edit", generator, "--direction", "none.npz", "--seed", "1", "--out", "a.png"): "none.npz",
        ("edit", generator, "--direction", directions, "--seed", "1", "--strength", "3", "--out", "a.png"): "FROM:TO",
        ("breed", generator, "--parents", "3,x", "--out", "l"): "litter/5",
        ("breed", generator, "--parents", "3", "--mutation", "2", "--out", "l"): "mutation",
        ("breed", generator, "--parents", "3,4", "--out", "full"): "already exists",
        ("sample", generator, "--latents", "none.npz", "--out", "a.png"): "none.npz",
    }.items():
        assert said in refused(capsys, *words)
    assert {file.name for file in tmp_path.iterdir()} == {"full", "other.npz"}
