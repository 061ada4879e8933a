"""The data of a run: kept with it where it came from memory, found where it has moved, other data noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas.cli import main
from ganvas.data import open_data
from ganvas.errors import RequestError
from ganvas.progress import Note
from ganvas.run import Run, checkpoint
from ganvas.run import run as run_file

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (48, 8, 8), np.uint8)
LABELS = np.arange(48) % 3
SMALL = {"batch": 8, "latent": 4, "hidden": "8", "critic_hidden": "8", "width": 4, "max_width": 8}
SMALL |= {"log_every": 2, "sample_every": 6, "checkpoint_every": 4, "monitor_every": 0}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No report after each training, which takes longer than that."""
    monkeypatch.setattr(run_file, "attempt_report", lambda path: None)


def train(data: Any, out: Path, steps: int = 4, recipe: str = "mlp", **options: object) -> Run:
    return ganvas.train(
        recipe, data, out=out, steps=steps, options={**SMALL, **options}, device="cpu", precision="fp32", progress=False
    )


def resume(run: Path | Run, steps: int = 8, **given: Any) -> Run:
    return ganvas.resume(run, steps=steps, progress=False, **given)


def weights(run: Path) -> tuple[bytes, bytes]:
    newest = checkpoint.steps(run / "checkpoints")[0]
    return (newest / checkpoint.MODEL).read_bytes(), (newest / checkpoint.OPTIMISERS).read_bytes()


def notes(run: Path, **given: Any) -> str:
    """What resuming the run says."""
    return "\n".join(tick.text or tick.what for tick in ganvas.resume.steps(run, **given) if isinstance(tick, Note))


def write(folder: Path, pictures: np.ndarray = BYTES) -> Path:
    folder.mkdir(parents=True)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{i:02}.png")
    return folder


def move(old: Path, new: Path) -> Path:
    new.parent.mkdir(exist_ok=True, parents=True)
    return Path(shutil.move(old, new))


# -- data from memory --------------------------------------------------------------------------------------------------


def test_an_array_is_kept_with_the_run(tmp_path: Path) -> None:
    whole = train(BYTES, tmp_path / "whole", 8)
    run = train(BYTES, tmp_path / "run")
    assert run.options.data == str(tmp_path / "run" / "data")
    assert open_data(run.options.data).fingerprint == run.record["data"]["fingerprint"]
    moved = move(run.path, tmp_path / "elsewhere" / "run")
    resume(moved)
    assert weights(moved) == weights(whole.path)
    assert "data" not in {path.name for path in tmp_path.iterdir()}


def test_verbs_find_kept_data_after_the_run_moved(tmp_path: Path) -> None:
    run = train((BYTES, LABELS), tmp_path / "run")
    moved = move(run.path, tmp_path / "moved")
    found = ganvas.evaluate(moved, samples=48, metrics="fid", features="pixels", progress=False)
    assert found.protocol["data_fingerprint"] == run.record["data"]["fingerprint"]
    ganvas.report(moved, progress=False)
    other = ganvas.evaluate(moved, 255 - BYTES, samples=48, metrics="fid", features="pixels", progress=False)
    assert other.protocol["data_fingerprint"] == open_data(255 - BYTES).fingerprint


def test_a_test_split_is_kept_too(tmp_path: Path) -> None:
    data = ((BYTES, LABELS), (BYTES[:9], LABELS[:9]))
    run = train(data, tmp_path / "run")
    assert len(open_data(run.options.data, split="test")) == 9
    held = train((BYTES, LABELS), tmp_path / "held", held_out=0.25)
    assert held.record["data"]["held_out"]["count"] == 12
    assert resume(held.path).step == 8
    again = train(open_data(BYTES, hold_out=0.5), tmp_path / "again", held_out=0.25)
    assert again.record["data"]["held_out"]["count"] == 24


@pytest.mark.parametrize("kind", ["tensor", "pictures", "opened", "torch", "points"])
def test_every_kind_of_memory_resumes(tmp_path: Path, kind: str) -> None:
    tensor = torch.from_numpy(BYTES.copy())[:, None]
    data = {
        "tensor": tensor,
        "pictures": [Image.fromarray(picture) for picture in BYTES],
        "opened": open_data("digits"),
        "torch": torch.utils.data.TensorDataset(tensor),
        "points": RNG.normal(size=(40, 2)),
    }[kind]
    run = train(data, tmp_path / "run", recipe="points" if kind == "points" else "mlp")
    assert resume(run.path).step == 8
    assert open_data(run.options.data).name == run.record["data"]["name"]


def test_a_run_of_memory_is_named_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"array-{open_data(BYTES).fingerprint[:8]}"
    said = []
    steps = ganvas.train.steps("mlp", BYTES, steps=2, options=SMALL, device="cpu", precision="fp32")
    said = [tick.what for tick in steps if isinstance(tick, Note)]
    assert f"mlp on {name} (48 items of 1×8×8)" in said[0]
    assert Path(f"runs/mlp-{name}/data/images.npy").exists()


def test_overwriting_replaces_kept_data_but_not_what_is_used(tmp_path: Path) -> None:
    run = train(BYTES, tmp_path / "run")
    for data in (str(run.path / "data"), open_data(str(run.path / "data"))):
        with pytest.raises(RequestError, match=r"out: .* holds the data .*which `overwrite` would remove"):
            ganvas.train(
                "mlp", data, out=run.path, steps=2, overwrite=True, options=SMALL, precision="fp32", progress=False
            )
    (run.path / "data-2").mkdir()  # somebody's own
    ganvas.train(
        "mlp", BYTES[:40], out=run.path, steps=2, overwrite=True, options=SMALL, precision="fp32", progress=False
    )
    assert len(open_data(str(run.path / "data"))) == 40
    assert (run.path / "data-2").exists()


# -- data that moved ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The weights of eight steps without any disturbance."""
    place = tmp_path_factory.mktemp("whole")
    return weights(train(write(place / "photos"), place / "run", 8).path)


def test_data_in_a_new_place_goes_on_bit_by_bit(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    photos = write(tmp_path / "photos")
    run = train(photos, tmp_path / "run")
    new = move(photos, tmp_path / "far" / "pictures")
    with pytest.raises(RequestError, match=r"data: the data of .* is no longer at .*photos; say where with `data`"):
        resume(run.path)
    resume(run.path, data=new)
    assert weights(run.path) == whole
    assert Run(run.path).options.data == str(new)  # so the next verbs find it
    assert "data_changed" not in Run(run.path).record
    assert ganvas.evaluate(run.path, samples=48, metrics="fid", features="pixels", progress=False)


def test_the_command_line_says_where_data_is(tmp_path: Path, whole: tuple[bytes, bytes], capsys: Any) -> None:
    photos = write(tmp_path / "photos")
    run = train(photos, tmp_path / "run")
    new = move(photos, tmp_path / "far" / "pictures")
    assert main(["resume", str(run.path), "--steps", "8"]) == 2
    assert "say where with --data" in capsys.readouterr().err
    assert main(["resume", str(run.path), "--steps", "8", "--data", str(new)]) == 0
    assert weights(run.path) == whole


@pytest.mark.parametrize("place", ["same way", "next to it", "next to runs", "current directory"])
def test_data_beside_the_run_is_found(
    place: str, tmp_path: Path, whole: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = write(tmp_path / "a" / "photos")
    run = train(photos, tmp_path / "a" / "runs" / "run").path
    if place == "same way":
        move(tmp_path / "a", tmp_path / "b")
        run, new = tmp_path / "b" / "runs" / "run", tmp_path / "b" / "photos"
    elif place == "next to it":
        new = move(photos, tmp_path / "a" / "runs" / "photos")
    elif place == "next to runs":
        move(tmp_path / "a" / "runs", tmp_path / "c" / "d" / "runs")
        run, new = tmp_path / "c" / "d" / "runs" / "run", move(photos, tmp_path / "c" / "d" / "photos")
    else:
        new = move(photos, tmp_path / "here" / "photos")
        monkeypatch.chdir(tmp_path / "here")
    assert f"photos is gone, and the data is read from {new}" in notes(run, steps=8)
    assert weights(run) == whole
    assert Run(run).options.data == str(new)


def test_an_array_may_stand_for_the_data_that_is_gone(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    photos = write(tmp_path / "photos")
    run = train(photos, tmp_path / "run")
    shutil.rmtree(photos)
    resume(run.path, data=BYTES)
    assert weights(run.path) == whole
    assert Run(run.path).options.data == str(tmp_path / "run" / "data")
    resume(run.path, 12, data=BYTES)
    assert not (run.path / "data-2").exists()


def test_a_run_that_is_called_like_its_data_is_not_its_data(tmp_path: Path) -> None:
    photos = write(tmp_path / "photos")
    run = train(photos, tmp_path / "runs" / "photos").path
    shutil.rmtree(photos)
    with pytest.raises(RequestError, match="is no longer at"):
        resume(run)


def test_a_record_of_another_system(tmp_path: Path) -> None:
    photos = write(tmp_path / "photos")
    run = train(photos, tmp_path / "run").path
    record = json.loads((run / "recipe.json").read_text())
    for options in (record["options"], record["resolved"]):
        options["data"] = "C:\\Users\\me\\photos"
    (run / "recipe.json").write_text(json.dumps(record))
    assert resume(run).options.data == str(photos)


# -- other data --------------------------------------------------------------------------------------------------------


def test_other_data_is_refused_and_counted(tmp_path: Path) -> None:
    run = train((BYTES, LABELS), tmp_path / "run").path
    cases: list[tuple[Any, str]] = [
        ((BYTES[:40], LABELS[:40]), r"48 items then, 40 now\)"),
        ((255 - BYTES, LABELS), r"48 items then, 48 now; of other content\)"),
        ((BYTES, LABELS + 1), r"48 items then, 48 now; 1 of the classes new: 3\)"),
        (
            (BYTES.repeat(2, axis=1), ["a", "b"] * 24),
            "1×8×8 then, 1×16×8 now; 3 of the classes gone: 0, 1, 2; 2 .* new: a, b",
        ),
    ]
    before = (run / "recipe.json").read_bytes()
    for data, difference in cases:
        with pytest.raises(RequestError, match=rf"data: .* is not what .* began with .*{difference}.*`changed`"):
            resume(run, data=data)
    assert (run / "recipe.json").read_bytes() == before


def test_changed_data_is_recorded(tmp_path: Path) -> None:
    photos = write(tmp_path / "photos")
    run = train(photos, tmp_path / "run").path
    first = Run(run).record["data"]
    Image.fromarray(255 - BYTES[0]).save(photos / "99.png")
    with pytest.raises(RequestError, match="48 items then, 49 now"):
        resume(run)
    said = notes(run, steps=8, changed=True)
    assert "its data changed at step 4, from 48 items to 49 items: it is not one run of the same data" in said
    record = Run(run).record
    (change,) = record["data_changed"]
    assert change["step"] == 4
    assert change["from"] == {"data": str(photos), "fingerprint": first["fingerprint"], "count": 48}
    assert change["to"]["count"] == record["data"]["count"] == 49
    assert resume(run, 10).step == 10  # the new data are now those of the run
    found = ganvas.evaluate(run, samples=48, metrics="fid", features="pixels", progress=False)
    assert "Until step 4 this run learned from other data" in " ".join(found.warnings)
    assert "changed at step 4" in ganvas.report(run, progress=False).path.read_text()


def test_changed_data_takes_the_shape_of_the_run(tmp_path: Path) -> None:
    run = train(write(tmp_path / "photos"), tmp_path / "run")
    large = BYTES.repeat(2, axis=1).repeat(2, axis=2)
    resume(run, data=np.stack([large] * 3, -1), changed=True)
    assert resume(run.path, 10).record["data"]["shape"] == [1, 8, 8]
    with pytest.raises(RequestError, match="points"):
        resume(run.path, data=RNG.normal(size=(9, 2)), changed=True)


def test_changed_arrays_are_kept_next_to_the_old(tmp_path: Path) -> None:
    run = train(BYTES, tmp_path / "run").path
    resume(run, data=BYTES[:40], changed=True)
    assert Run(run).options.data == str(run / "data-2")
    assert len(open_data(str(run / "data"))) == 48
    moved = move(run, tmp_path / "moved")
    assert resume(moved, 10).step == 10


def test_classes_must_mean_the_same(tmp_path: Path) -> None:
    words = np.array(["cat", "cow", "dog"])[LABELS]
    run = train((BYTES, words), tmp_path / "run", recipe="cgan").path
    for names, count in ((["cat", "cow", "emu"], 48), (["cat", "dog"], 32)):
        data = (BYTES[:count], (names * 48)[:count])
        with pytest.raises(RequestError, match=r"labels of .* mean something else"):
            resume(run, data=data, changed=True)
    with pytest.raises(RequestError, match="mean something else"):  # the same numbers and pictures
        resume(run, data=(BYTES, np.array(["cat", "cow", "emu"])[LABELS]))
    resume(run, data=(BYTES[:45], words[:45]), changed=True)
    plain = train((BYTES, words), tmp_path / "plain").path  # which knows no labels
    assert resume(plain, data=BYTES[:40], changed=True).step == 8


def test_keywords_must_mean_the_same(tmp_path: Path) -> None:
    texts = ["red cat", "blue dog"] * 24
    run = train((BYTES, None, texts), tmp_path / "run", recipe="prompt-gan").path
    with pytest.raises(RequestError, match="mean something else"):
        resume(run, data=(BYTES, None, ["red cat", "blue cow"] * 24), changed=True)
    other = (255 - BYTES, None, texts)
    assert resume(run, data=other, changed=True).step == 8


def test_a_run_in_another_process_is_not_touched(tmp_path: Path) -> None:
    run = train(BYTES, tmp_path / "run")
    steps = run.advance(steps=8)
    next(steps)
    before = {path.name for path in run.path.iterdir()}
    with pytest.raises(RequestError, match="is being trained already"):
        resume(run.path, data=BYTES[:40], changed=True)
    assert {path.name for path in run.path.iterdir()} == before
    steps.close()
