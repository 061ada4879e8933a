"""`ganvas paint`: what it writes, that it continues exactly, and what it refuses."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas import cli, nets, tokens
from ganvas.nets import MLPGenerator
from ganvas.painting import Stroke, work
from ganvas.painting.setup import CLIP, GENERATOR, parse_size
from ganvas.progress import Note, drain

SHORT = ("--steps", "4", "--crops", "3", "--best-of", "5", "--preview", "2")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("run") / "generator.safetensors"
    decoder = MLPGenerator((3, 8, 8), latent=4, hidden=(16,)).eval()
    for weight in decoder.parameters():
        weight.data *= 3
    ganvas.TrainedGenerator(decoder, "mlp").write(path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("clip") / "clip.safetensors"
    reader = tokens.Words.of(["a red circle", "something blue"], 6)
    image = {"net": "conv", "options": {"size": 8, "widths": [4], "depth": 1, "hidden": 8, "outputs": 4}}
    options = {"vocabulary": reader.size, "context": 6, "width": 8, "layers": 1, "heads": 2, "outputs": 4}
    network = nets.Clip(image, {"net": "transformer", "options": options}).eval()
    ganvas.Clip(network, reader, "clip").write(path)
    return path


@pytest.fixture
def words(generator: Path, clip: Path) -> tuple[str, ...]:
    return ("--generator", str(generator), "--clip", str(clip))


def run(*given: object) -> None:
    assert cli.main(["paint", *map(str, given)]) == 0


def refused(capsys: pytest.CaptureFixture[str], *given: object) -> str:
    assert cli.main(["paint", *map(str, given)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("ganvas: ") and err.count("\n") == 1
    return err


def latents(folder: Path) -> np.ndarray:
    with np.load(folder / "latent.npz", allow_pickle=False) as arrays:
        return arrays["latents"]


def test_a_painting_and_its_recipe(words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a"
    run("a red circle", "--exclude", "something blue", *words, *SHORT, "--out", out)
    said, errors = (text.splitlines() for text in capsys.readouterr())
    assert errors == [] and said[0].endswith("among 25 pictures")
    assert [line.split("  ")[0] for line in said[1:6]] == [f"a red circle: stroke {i} of 4" for i in range(5)]
    assert said[6] == f"a red circle: {out / 'painting.png'}" and f"--init {out / 'latent.npz'}" in said[-1]
    with Image.open(out / "painting.png") as picture, Image.open(out / "preview.png") as preview:
        recipe = json.loads(picture.info["ganvas"])
        assert picture.size == (256, 256) and np.array_equal(np.asarray(picture), np.asarray(preview))
    assert recipe["words"] == ["a red circle"] and recipe["exclude"] == ["something blue"]
    assert recipe["seed"] == 0 and recipe["steps"] == 4 and recipe["crops"]["count"] == 3
    assert recipe["generator"] == words[1] and recipe["clip"] == words[3]
    films = [path for path in out.iterdir() if path.stem == "painting" and path.suffix in (".mp4", ".webp")]
    assert len(films) == 1 and not list(out.glob("interpolation*"))


def test_the_recipe_names_the_clip_that_was_found(
    generator: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tmp_path / "weights" / "lit.safetensors"
    found.parent.mkdir()
    found.write_bytes(clip.read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GANVAS_WEIGHTS", str(found.parent))
    run("a red circle", "--generator", generator, *SHORT, "--out", tmp_path / "a")
    with Image.open(tmp_path / "a/painting.png") as picture:
        assert json.loads(picture.info["ganvas"])["clip"] == str(found)


def test_the_same_seed_is_the_same_picture(words: tuple[str, ...], tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run("a red circle", *words, *SHORT, "--seed", seed, "--out", tmp_path / name)
    same, again, other = ((tmp_path / name / "painting.png").read_bytes() for name in "abc")
    assert same == again and same != other
    assert (
        cli.main(["sample", words[1], "--latents", str(tmp_path / "a/latent.npz"), "--out", f"{tmp_path}/s.npz"]) == 0
    )


def test_it_continues_exactly(words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two prompts the second continues, the first being done."""
    both = ("a red circle", "something blue", *words, "--crops", 3, "--best-of", 5, "--preview", 2)
    run(*both, "--steps", 6, "--out", tmp_path / "whole")
    run(*both, "--steps", 4, "--out", tmp_path / "part")
    assert not np.array_equal(latents(tmp_path / "whole")[1], latents(tmp_path / "part")[1])
    capsys.readouterr()
    part = tmp_path / "part" / "latent.npz"
    run(*both, "--steps", 6, "--init", part, "--out", tmp_path / "part")
    assert capsys.readouterr().out.startswith("something blue: stroke 4 of 6")
    assert np.array_equal(latents(tmp_path / "whole")[1], latents(tmp_path / "part")[1])
    assert list((tmp_path / "part").glob("interpolation.*")) and (tmp_path / "part/painting-2.png").exists()
    assert "already; give more" in refused(capsys, *both, "--steps", 6, "--init", part, "--out", tmp_path / "part")


def test_other_words_begin_at_a_saved_latent(words: tuple[str, ...], tmp_path: Path) -> None:
    run("a red circle", *words, *SHORT, "--out", tmp_path / "a")
    run("something blue", *words, *SHORT, "--init", tmp_path / "a/latent.npz", "--out", tmp_path / "b", "--lr", "1e-9")
    assert np.allclose(latents(tmp_path / "b"), latents(tmp_path / "a"), atol=1e-6)


def test_words_are_held_where_a_search_has_chosen_them(words: tuple[str, ...], tmp_path: Path) -> None:
    def held(*given: object) -> bool:
        with Image.open(tmp_path / str(given[-1]) / "painting.png") as picture:
            return json.loads(picture.info["ganvas"])["brush"]["hold"]

    run("a red circle", *words, *SHORT, "--out", tmp_path / "searched")
    elsewhere = ("something blue", *words, "--crops", 3, "--best-of", 5, "--preview", 2)
    first = tmp_path / "searched/latent.npz"
    run(*elsewhere, "--steps", 6, "--init", first, "--out", tmp_path / "whole")
    run(*elsewhere, "--steps", 4, "--init", first, "--out", tmp_path / "part")
    run(*elsewhere, "--steps", 6, "--init", tmp_path / "part/latent.npz", "--out", tmp_path / "part")
    run("a red circle", *words, *SHORT, "--no-hold", "--out", tmp_path / "free")
    assert held("searched") and not held("whole") and not held("part") and not held("free")
    assert np.array_equal(latents(tmp_path / "whole"), latents(tmp_path / "part"))


def test_it_begins_at_a_picture_and_paints_one(words: tuple[str, ...], generator: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    ganvas.media.save_png(ganvas.media.single(ganvas.load(generator).sample([7])[0]), photo)  # type: ignore[union-attr]
    run(photo, *words, *SHORT, "--init", photo, "--lr", "1e-9", "--out", tmp_path / "a")
    assert np.allclose(latents(tmp_path / "a"), ganvas.load(generator).latents([7]), atol=0.05)  # type: ignore[union-attr]
    run(f"{photo}::2 | something blue", *words, *SHORT, "--out", tmp_path / "b")
    with Image.open(tmp_path / "b/painting.png") as picture:
        assert json.loads(picture.info["ganvas"])["words"] == [f"{photo}::2 | something blue"]


def test_ctrl_c_leaves_what_can_be_continued(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paint = work.paint

    def stopping(*given: Any, **options: Any) -> Iterator[Stroke]:
        for stroke in paint(*given, **options):
            if stroke.step == 3:
                signal.raise_signal(signal.SIGINT)
            yield stroke

    given = ("a red circle", *words, "--crops", 3, "--best-of", 5, "--preview", 2, "--steps", 6)
    run(*given, "--out", tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(work, "paint", stopping)
        run(*given, "--out", tmp_path / "part")
    said = capsys.readouterr().out.splitlines()[-1]
    assert "stopped and saved: a red circle: stroke 3 of 6" in said
    assert said.endswith(f"the same command with --init {tmp_path / 'part' / 'latent.npz'}")
    assert {path.name for path in (tmp_path / "part").iterdir()} == {"latent.npz", "preview.png"}
    run(*given, "--init", tmp_path / "part/latent.npz", "--out", tmp_path / "part")
    assert np.array_equal(latents(tmp_path / "whole"), latents(tmp_path / "part"))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["a::much"], "WORDS: 'much' is not a weight"),
        (["a red circle", "--steps", "0"], "--steps: 0 is too few; give 1 or more"),
        (["a red circle", "--best-of", "0"], "--best-of: 0 is too few; give 1 or more"),
        (["a red circle", "--crops", "0"], "--crops: 0 is too few"),
        (["a red circle", "--size", "8by8"], "--size: '8by8' is not a size; write 64, or 96x128"),
        (["a red circle", "--size", "16x8"], "--size: this generator draws 8x8 only"),
        (["a red circle", "--label", "3"], "was trained without labels"),
        (["nowhere.png"], "cannot read nowhere.png"),
        (["a red circle", "--init", "nowhere.npz"], "nowhere.npz cannot be read"),
    ],
)
def test_what_cannot_be_is_refused(
    words: tuple[str, ...], given: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refused(capsys, *given, *words, "--out", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_painting_is_not_painted_over(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    assert "already exists" in refused(capsys, "a red circle", *words, "--out", tmp_path)


def test_sizes_are_rounded_with_a_message() -> None:
    class Grid(MLPGenerator):
        def prior(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
            return torch.randn(n, 4, 2, 2, generator=generator)

    model = ganvas.TrainedGenerator(Grid((3, 8, 8), 4, (8,)), "vqgan")
    assert drain(parse_size("21x13", model)) == (3, 5)
    (note,) = parse_size("21x13", model)
    assert isinstance(note, Note) and "21x13 is rounded to 20x12, whole cells of 4 pixels" in note.what
    assert list(parse_size("20x12", model)) == []


def test_the_words_of_a_generator_are_painted_too_unless_they_are_given(clip: Path, tmp_path: Path) -> None:
    inner = {"shape": [3, 8, 8], "latent": 7, "hidden": [16]}
    decoder = nets.ConditionalGenerator((3, 8, 8), 4, "mlp", inner, keywords=("blue", "red"), embedding=3, prompts=2)
    file = tmp_path / "generator.safetensors"
    ganvas.TrainedGenerator(decoder.eval(), "prompt-gan").write(file)
    given = ("--generator", file, "--clip", clip, *SHORT)
    run("red", *given, "--out", tmp_path / "open")
    run("red", *given, "--label", "red", "--out", tmp_path / "given")
    shapes = [np.load(tmp_path / name / "latent.npz")["latents"].shape for name in ("open", "given")]
    assert shapes == [(1, 6), (1, 4)]
    sample = ["sample", str(file), "--set", "words=latent", "--latents", str(tmp_path / "open" / "latent.npz")]
    assert cli.main([*sample, "--out", str(tmp_path / "grid.png")]) == 0


def test_it_paints_at_once_with_what_comes_with_ganvas(tmp_path: Path) -> None:
    assert max(GENERATOR.stat().st_size, CLIP.stat().st_size) < 5e6
    run("a red circle", "--steps", 20, "--crops", 8, "--best-of", 32, "--out", tmp_path / "red")
    with Image.open(tmp_path / "red" / "painting.png") as picture:
        pixels = np.asarray(picture).reshape(-1, 3).astype(float)
    ink = pixels[pixels.min(1) < 150].mean(0)
    assert ink.argmax() == 0, f"what is painted as red is of colour {ink}"
