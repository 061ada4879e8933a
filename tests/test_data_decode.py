"""Files of every common kind become the same upright, opaque, 8-bit pixels."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.data.decode import Unreadable, decode
from ganvas.errors import RequestError
from ganvas.sizes import Size

RED, GREEN = (255, 0, 0), (0, 255, 0)


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(image: Image.Image, kind: str = "PNG", size: int = 8, channels: int = 3, **options: Any) -> np.ndarray:
    return decode(encode(image, kind, **options), "a.png", Size(size, size), channels).pixels.transpose(1, 2, 0)


def test_pixels_of_the_right_size_are_kept_exactly() -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    assert np.array_equal(pixels(Image.fromarray(drawn)), drawn)
    assert np.array_equal(pixels(Image.fromarray(drawn), "WEBP", lossless=True), drawn)


def test_a_wide_picture_is_cut_about_its_centre() -> None:
    wide = Image.new("RGB", (24, 8), "blue")
    wide.paste(RED, (8, 0, 16, 8))
    assert (pixels(wide) == RED).all()


def test_shrinking_averages_and_does_not_alias() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    assert abs(pixels(Image.fromarray(stripes)).astype(int) - 128).max() < 40
    assert abs(pixels(Image.fromarray(stripes), "JPEG", quality=95).astype(int) - 128).max() < 40


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 100, (100, 100, 100)),
        ("RGBA", (*RED, 255), RED),
        ("RGBA", (*RED, 0), (255, 255, 255)),
        ("RGBA", (*RED, 51), (255, 204, 204)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (40, 255), (40, 40, 40)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 25700, (100, 100, 100)),
    ],
)
def test_modes(mode: str, value: Any, expected: tuple[int, int, int]) -> None:
    assert (pixels(Image.new(mode, (8, 8), value)) == expected).all()


def test_a_palette_with_transparency_is_laid_on_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([*RED, *GREEN])
    image.paste(1, (4, 0, 8, 8))
    shown = pixels(image, transparency=0)
    assert (shown[:, :4] == 255).all()
    assert (shown[:, 4:] == GREEN).all()


def test_print_colours_become_screen_colours() -> None:
    shown = pixels(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF")
    assert (shown == RED).all()


@pytest.mark.parametrize(("white", "expected"), [(1.0, 255), (0.5, 128), (200.0, 200), (65535.0, 255), (np.nan, 0)])
def test_floating_point_grey_is_scaled(white: float, expected: int) -> None:
    assert (pixels(Image.new("F", (8, 8), white), "TIFF") == expected).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))])
def test_exif_turns_the_picture_upright(kind: str, orientation: int, corner: tuple[int, int]) -> None:
    image = Image.new("L", (32, 32), 255)
    image.paste(0, (0, 0, 16, 16))  # the top left quarter, as stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = pixels(image.convert("RGB"), kind, size=32, exif=exif)[..., 0]
    dark = {at for at in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if shown[at] < 60}
    assert dark == {corner}


def test_colours_become_grey_by_luma() -> None:
    assert pixels(Image.new("RGB", (8, 8), RED), channels=1)[0, 0, 0] == 76
    assert decode(encode(Image.new("RGB", (8, 8), (9, 9, 9))), "a.png", Size(8, 8), 3).grey
    assert not decode(encode(Image.new("RGB", (8, 8), RED)), "a.png", Size(8, 8), 3).grey


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), GREEN)]
    assert (pixels(frames[0], "GIF", save_all=True, append_images=frames[1:]) == RED).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_whose_exif_is_damaged_is_not_turned(kind: str) -> None:
    shown = pixels(Image.new("RGB", (8, 8), "white"), kind, exif=b"Exif\0\0no such thing")
    assert (shown == 255).all()


def test_what_another_program_would_have_to_draw_is_no_image() -> None:
    """PostScript is a language: Pillow would run Ghostscript on it, whatever the name of the file."""
    drawing = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n0 0 10 10 rectfill\n"
    with pytest.raises(Unreadable, match="not an image"):
        decode(drawing, "a.png", Size(8, 8), 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_a_truncated_file_is_unreadable(kind: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = encode(noise, kind)
    with pytest.raises(Unreadable, match=r"\w"):
        decode(data[: int(share * len(data))], "a.png", Size(8, 8), 3)


def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(RequestError, match=r"huge\.png may be a decompression bomb"):
        decode(encode(Image.new("1", (64, 64))), "huge.png", Size(8, 8), 3)
