"""What ganvas writes it reads back: samples with their classes, class names and prompts."""

from __future__ import annotations

import json
from pathlib import Path

import torch

import ganvas
from ganvas import nets
from ganvas.data import open_data


def drawn(prompts: bool = False) -> ganvas.TrainedGenerator:
    """An untrained generator of three classes or three keywords."""
    torch.manual_seed(0)
    inner = {"shape": [1, 8, 8], "latent": 7, "hidden": [8]}
    words = {"keywords": ("blue", "circle", "red"), "prompts": 2} if prompts else {"classes": 3}
    network = nets.ConditionalGenerator((1, 8, 8), 4, "mlp", inner, embedding=3, **words).eval()  # type: ignore[arg-type]
    if prompts:
        network.get_buffer("prompts").copy_(torch.tensor([[1, 1, 0], [0, 0, 1]]))
    return ganvas.TrainedGenerator(
        network, "prompt-gan" if prompts else "cgan", () if prompts else ("cat", "dog", "eel")
    )


def test_an_archive_of_samples_has_its_classes(tmp_path: Path) -> None:
    ganvas.sample(drawn(), seeds="0-3", out=tmp_path / "s.npz", progress=False)
    data = open_data(str(tmp_path / "s.npz"))
    assert data.labels is not None
    assert (data.labels.tolist(), data.class_names) == ([0, 1, 2, 0], ("cat", "dog", "eel"))
    ganvas.sample(drawn(), seeds="0-1", label="dog", out=tmp_path / "dogs.npz", progress=False)
    dogs = open_data(str(tmp_path / "dogs.npz"))
    assert dogs.labels is not None
    assert [dogs.class_names[label] for label in dogs.labels.tolist()] == ["dog", "dog"]


def test_an_archive_of_samples_has_its_prompts_and_keywords(tmp_path: Path) -> None:
    ganvas.sample(drawn(prompts=True), seeds="0-2", out=tmp_path / "s.npz", progress=False)
    data = open_data(str(tmp_path / "s.npz"))
    assert data.captions == ("blue circle", "red", "blue circle")
    assert data.attributes is not None and data.labels is None
    assert {name: values.tolist() for name, values in data.attributes.items()} == {
        "blue": [1, 0, 1],
        "circle": [1, 0, 1],
        "red": [0, 1, 0],
    }


def test_a_folder_of_samples_has_its_classes_and_the_pictures_of_the_archive(tmp_path: Path) -> None:
    ganvas.sample(drawn(), seeds="0-3", out=f"{tmp_path}/s/", progress=False)
    ganvas.sample(drawn(), seeds="0-3", out=tmp_path / "s.npz", progress=False)
    data, same = open_data(str(tmp_path / "s")), open_data(str(tmp_path / "s.npz"))
    assert data.labels is not None
    assert [data.class_names[label] for label in data.labels.tolist()] == ["cat", "dog", "eel", "cat"]
    assert torch.equal(data.items, same.items)
    assert data.origin.notes == ()


def test_a_folder_that_is_written_again_keeps_what_is_said_of_other_pictures(tmp_path: Path) -> None:
    generator = drawn(prompts=True)
    ganvas.sample(generator, seeds="0-1", out=f"{tmp_path}/s/", progress=False)
    ganvas.sample(generator, seeds="1-2", prompt="red circle", out=f"{tmp_path}/s/", progress=False)
    lines = (tmp_path / "s" / "metadata.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file_name": "seed0000.png", "text": "blue circle"},
        {"file_name": "seed0001.png", "text": "red circle"},
        {"file_name": "seed0002.png", "text": "red circle"},
    ]
    assert open_data(str(tmp_path / "s")).captions == ("blue circle", "red circle", "red circle")


def test_a_store_keeps_what_was_read_and_said(tmp_path: Path) -> None:
    ganvas.sample(drawn(), seeds="0-3", out=f"{tmp_path}/s/", progress=False)
    (tmp_path / "s" / "x.psd").write_bytes(b"8BPS")
    data = open_data(str(tmp_path / "s"))
    again = open_data(str(data.save(tmp_path / "store")))
    assert "1 .psd" in data.origin.notes[0]
    assert (again.class_names, again.origin, again.fingerprint) == (data.class_names, data.origin, data.fingerprint)
