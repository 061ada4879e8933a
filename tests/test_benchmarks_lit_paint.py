"""The benchmark of painting with a published tower: the emoji it gathers, and what its judge calls right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks import lit_paint
from benchmarks.lit_paint import Judge, gather, to_pixels
from ganvas.data import Dataset, open_data

COLORS = {"red heart": "red", "red apple": "orange", "green tree": "green", "blue sea": "blue"}


class Hue(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] -> the mean of each channel, (N, 3)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) + 1


@pytest.fixture
def emoji(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Four emoji of one colour each, gathered from packages that also hold a flag and one of which nothing is told."""
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lit_paint, "open_tower", lambda name: (Hue(), "hue"))
    pictures = tmp_path / "emoji-datasource-google/package/img/google/64"
    words = tmp_path / "emojibase-data/package/en/data.json"
    pictures.mkdir(parents=True)
    words.parent.mkdir(parents=True)
    told = [(name, "Symbols", color) for name, color in COLORS.items()]
    told += [("flag", "Flags", "white"), ("untold", "Symbols", "black")]
    rows = []
    for i, (_, category, color) in enumerate(told):
        Image.new("RGBA", (64, 64), color).save(pictures / f"{i}.png")
        rows.append({"unified": f"270{i}-FE0F", "category": category, "image": f"{i}.png"})
    (pictures.parents[2] / "emoji.json").write_text(json.dumps(rows))
    words.write_text(
        json.dumps([{"hexcode": f"270{i}", "label": name, "tags": ["tag"]} for i, (name, _, _) in enumerate(told[:5])])
    )
    return open_data(str(gather(tmp_path, tmp_path / "emoji")), size=8, channels=3)


def test_emoji_are_gathered_with_their_names_and_tags(emoji: Dataset) -> None:
    assert emoji.captions == tuple(f"{name}, tag" for name in COLORS)


def test_a_picture_is_right_where_the_nearest_emoji_have_the_word(
    emoji: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge(emoji)
    assert judge.of("red") == [0, 1] and judge.of("tree") == [2]
    scarlet = torch.tensor([0.9, -0.9, -0.9])[None, :, None, None].expand(1, 3, 8, 8)
    assert set(judge.nearest(to_pixels(scarlet))[:2]) == {0, 1}
    monkeypatch.setattr(lit_paint, "WORDS", {"a red thing": "red", "a tree": "tree", "the sea": "sea"})
    assert judge.found(to_pixels(scarlet), "red").tolist() == [[1, 0.5, 1]]  # two of all four, and red of the words
    assert judge.found(to_pixels(scarlet), "tree").tolist() == [[0, 0.25, 0]]
    red, tree = judge.pixels[judge.of("red")], judge.pixels[judge.of("tree")]
    assert judge.found(red, "red", itself=True)[:, ::2].tolist() == [[1, 1], [1, 1]]  # each has the other
    assert judge.found(tree, "tree", itself=True)[:, ::2].tolist() == [[0, 0]]  # nothing but itself is a tree


def test_pixels_are_those_of_files() -> None:
    assert to_pixels(torch.tensor([-1.0, 0.0, 1.0]).reshape(1, 3, 1, 1)).flatten().tolist() == [0, 128, 255]
