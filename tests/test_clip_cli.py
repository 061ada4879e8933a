"""`ganvas classify` and `ganvas search`: what they print and write, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganvas
from ganvas import files
from ganvas.cli import main
from ganvas.data import Dataset, open_data

OPTIONS = {"widths": "16,32", "depth": 1, "hidden": 64, "dim": 32, "text_width": 32, "text_layers": 1, "heads": 2}
OPTIONS |= {"batch": 64, "warmup": 0, "lr": 0.005, "gallery": 20, "size": 16, "tokenizer": "words"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "clip"
    ganvas.train("clip", "shapes", out=path, steps=80, options=OPTIONS, device="cpu", precision="fp32", progress=False)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Single shapes by name, in sub-folders, with a file that is not a picture."""
    folder = tmp_path_factory.mktemp("pictures")
    scenes: Dataset = open_data("shapes", size=48, split="test")
    assert scenes.captions is not None
    alone = [i for i, caption in enumerate(scenes.captions) if caption in ("a large red circle", "a large blue star")]
    for i in alone[:12]:
        path = folder / scenes.captions[i].rpartition(" ")[2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.ascontiguousarray(scenes.items[i].permute(1, 2, 0).numpy())).save(path)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def test_training_says_what_to_do_next(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", str(trained), "--steps", "81"]) == 0
    said = capsys.readouterr().out
    assert f'ganvas classify picture.png --labels "a,b,c" --clip {trained}' in said
    assert f'ganvas search "words" FOLDER --clip {trained} --out sheet.png' in said


def test_classify(trained: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = sorted(pictures.rglob("*/*.png"))
    words = ["classify", *map(str, images), "--clip", str(trained), "--template", "a large {label}"]
    assert main([*words, "--labels", "red circle, blue star"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(images)
    right = [line.split(maxsplit=1) for line in lines]
    right = sum(said.startswith("red circle" if "/circle/" in file else "blue star") for file, said in right)
    assert right > 0.7 * len(lines)
    assert all(
        line.split()[0] == str(image) and line.count("%") == 2 for line, image in zip(lines, images, strict=True)
    )


def test_search(
    trained: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    words = ["search", "a large blue star", str(pictures), "--clip", str(trained), "--top", "3"]
    assert main([*words, "--out", str(tmp_path / "sheet.png")]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("left out: ") and "broken.png" in err and err.count("\n") == 1
    found = [line.split() for line in out.splitlines()[:-1]]
    assert len(found) == 3
    assert sum("/star/" in path for _, path in found) >= 2
    assert [float(score) for score, _ in found] == sorted((float(score) for score, _ in found), reverse=True)
    assert out.splitlines()[-1] == f"sheet: {tmp_path / 'sheet.png'}"
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > sheet.height > 90
    kept = sorted((files.cache_directory() / "features").rglob("*.safetensors"))
    assert len(kept) == 1
    written = kept[0].stat().st_mtime_ns
    assert main(words) == 0  # what was seen is not looked at again
    assert capsys.readouterr().out.splitlines() == out.splitlines()[:-1]
    assert kept[0].stat().st_mtime_ns == written
    kept[0].write_bytes(b"damaged")
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == out.splitlines()[:-1]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["classify", "PICTURE", "--labels", " , "], "--labels: ' , ' holds no name"),
        (["classify", "PICTURE", "--labels", "a", "--template", "a photo"], "no place for the label"),
        (["classify", "nowhere.png", "--labels", "a"], "cannot read nowhere.png: no such file"),
        (["classify", "BROKEN", "--labels", "a"], "broken.png cannot be decoded"),
        (["classify", "PICTURE", "--labels", "a", "--clip", "nowhere"], "there is no file at nowhere"),
        (["classify", "--labels", "a"], "IMAGES"),
        (["search", "a cat", "nowhere"], "there is no folder nowhere"),
        (["search", "a cat", "EMPTY"], "holds no pictures"),
        (["search", "a cat", "FOLDER", "--top", "0"], "--top: 0 is too few; give 1 or more"),
    ],
)
def test_a_wrong_request_is_refused(
    words: list[str], reason: str, trained: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"PICTURE": next(pictures.rglob("*/*.png")), "BROKEN": pictures / "broken.png", "FOLDER": pictures}
    places["EMPTY"] = tmp_path / "empty"
    clip = [] if "--clip" in words else ["--clip", str(trained)]
    assert main([str(places.get(word, word)) for word in words] + clip) == 2
    err = capsys.readouterr().err
    assert reason in err and err.count("\n") == 1


def test_without_a_clip_it_says_how_to_get_one(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["search", "a cat", str(pictures)]) == 2
    assert "--clip: there is none on this machine (looked for ViT-L-14.pt" in capsys.readouterr().err
