"""Transparency is kept premultiplied, or laid on white and said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.data import Dataset, open_data
from ganvas.data.decode import Header, decode, is_transparent, read_header
from ganvas.data.pictures import read_picture
from ganvas.sizes import Size

RED, GREEN = (255, 0, 0), (0, 255, 0)


pytestmark = pytest.mark.usefixtures("own_cache")


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(image: Image.Image, kind: str = "PNG", size: int = 8, **options: Any) -> np.ndarray:
    return decode(encode(image, kind, **options), "a.png", Size(size, size), 4).pixels.transpose(1, 2, 0)


def palette() -> Image.Image:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([*RED, *GREEN])
    image.paste(1, (4, 0, 8, 8))
    return image


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("RGBA", (*RED, 255), (*RED, 255)),
        ("RGBA", (*RED, 0), (0, 0, 0, 0)),
        ("RGBA", (*RED, 51), (51, 0, 0, 51)),
        ("LA", (200, 51), (40, 40, 40, 51)),
        ("RGB", RED, (*RED, 255)),
        ("L", 100, (100, 100, 100, 255)),
        ("1", 1, (255, 255, 255, 255)),
        ("I;16", 25700, (100, 100, 100, 255)),
        ("P", 0, (0, 0, 0, 255)),
    ],
)
def test_colour_is_premultiplied_and_hidden_colour_is_zero(mode: str, value: Any, expected: tuple[int, ...]) -> None:
    assert (pixels(Image.new(mode, (8, 8), value)) == expected).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF"])
def test_every_kind_of_file_keeps_alpha(kind: str) -> None:
    image = Image.new("RGBA", (8, 8), (*GREEN, 0))
    image.paste((*RED, 255), (0, 0, 4, 8))
    shown = pixels(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert (shown[:, :4] == (*RED, 255)).all()
    assert (shown[:, 4:] == 0).all()


def test_a_colour_of_a_palette_or_of_a_file_can_be_the_transparent_one() -> None:
    shown = pixels(palette(), transparency=0)
    assert (shown[:, :4] == 0).all()
    assert (shown[:, 4:] == (*GREEN, 255)).all()
    assert (pixels(Image.new("RGB", (8, 8), RED), transparency=RED) == 0).all()
    assert (pixels(Image.new("RGB", (8, 8), RED), transparency=GREEN) == (*RED, 255)).all()
    assert (pixels(Image.new("I;16", (8, 8), 257), transparency=257) == 0).all()


def test_hidden_colour_does_not_bleed_into_edges() -> None:
    """A red disc on transparent green: resized in straight alpha, its edge would be yellow."""
    image = Image.new("RGBA", (64, 64), (*GREEN, 0))
    image.paste((*RED, 255), (13, 13, 51, 51))
    shown = pixels(image).astype(int)
    assert (shown[..., 1:3] == 0).all()
    assert (shown[..., 0] == shown[..., 3]).all()
    assert {0, 255} < set(np.unique(shown[..., 3]))


def test_no_colour_is_brighter_than_its_alpha() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)
    shown = pixels(Image.fromarray(noise), size=16)
    assert (shown[..., :3] <= shown[..., 3:]).all()


@pytest.mark.parametrize(("clear", "found"), [(0, False), (40, False), (41, True), (4096, True)])
def test_a_picture_is_transparent_from_one_pixel_in_a_hundred(clear: int, found: bool) -> None:
    alpha = np.full(4096, 255, np.uint8)
    alpha[:clear] = 249
    image = Image.new("RGB", (64, 64), RED)
    image.putalpha(Image.fromarray(alpha.reshape(64, 64)))
    data = encode(image)
    assert decode(data, "a.png", Size(8, 8), 3).transparent is found
    assert is_transparent(io.BytesIO(data), "a.png") is found
    assert read_header(io.BytesIO(data), "a.png") == Header(64, 64, alpha=True, deep=False)


def folder(top: Path, transparent: int, opaque: int) -> str:
    for i in range(transparent + opaque):
        Image.new("RGBA", (16, 16), (*RED, 0 if i < transparent else 255)).save(top / f"{i}.png")
    return str(top)


def test_a_set_of_which_most_are_transparent_has_four_channels_and_says_so(tmp_path: Path) -> None:
    data = open_data(folder(tmp_path, 2, 1))
    assert data.shape == (4, 16, 16)
    assert "2 of 3 pictures are transparent" in data.origin.notes[0] and "channels=3" in data.origin.notes[0]
    flat = open_data(str(tmp_path), channels=3)
    assert [tuple(item[:, 0, 0].tolist()) for item in flat.items] == [(255, 255, 255), (255, 255, 255), RED]
    assert "channels=4" in flat.origin.notes[0]
    assert open_data(str(tmp_path)).origin.notes == data.origin.notes  # the cache keeps them


def test_a_set_of_which_few_are_transparent_is_laid_on_white_and_says_so(tmp_path: Path) -> None:
    data = open_data(folder(tmp_path, 1, 1))
    assert data.shape == (3, 16, 16)
    assert (data.items[0] == 255).all()
    assert data.origin.notes == (
        "1 of 2 pictures are transparent somewhere and laid on white: channels=4 keeps their transparency",
    )
    assert open_data(str(tmp_path), channels=4).items[:, 3].flatten(1).float().mean(1).tolist() == [0, 255]


def test_opaque_pictures_say_nothing_of_transparency(tmp_path: Path) -> None:
    assert open_data(folder(tmp_path, 0, 3)).origin.notes == ()


@pytest.mark.parametrize(
    ("stored", "channels", "expected"),
    [
        ((51, 0, 0, 51), 3, (255, 204, 204)),
        ((0, 0, 0, 0), 3, (255, 255, 255)),
        ((51, 51, 51, 51), 1, (255,)),
        ((9, 20, 30), 4, (9, 20, 30, 255)),
        ((9,), 4, (9, 9, 9, 255)),
        ((9,), 3, (9, 9, 9)),
    ],
)
def test_arrays_are_fitted_between_channels(
    tmp_path: Path, stored: tuple[int, ...], channels: int, expected: tuple[int, ...]
) -> None:
    top = tmp_path / "set"
    top.mkdir()
    image = np.zeros((8, 8, len(stored)), np.uint8) + np.array(stored, np.uint8)
    Dataset("x", torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()).save(top)
    data = open_data(str(top), channels=channels, size=4)
    assert (data.items == torch.tensor(expected, dtype=torch.uint8)[:, None, None]).all()


def test_a_tensor_of_four_channels_is_premultiplied_as_networks_have_it() -> None:
    alpha = torch.randint(0, 256, (1, 8, 8))
    colour = (torch.rand(3, 8, 8) * (alpha + 1)).floor().clamp(max=255)
    x = torch.cat([colour.minimum(alpha), alpha]) / 127.5 - 1
    assert torch.allclose(read_picture(x, (4, 8, 8)), x, atol=1e-6)
    white = read_picture(x, (3, 8, 8))
    assert (white - (x[:3] + 1 - x[3:])).abs().max() < 3 / 127.5


def test_an_array_of_four_channels_is_straight_as_files_have_it() -> None:
    array = np.zeros((8, 8, 4), np.uint8) + np.array([255, 0, 0, 51], np.uint8)
    assert ((read_picture(array, (4, 8, 8)) + 1) * 127.5)[:, 0, 0].round().tolist() == [51, 0, 0, 51]
