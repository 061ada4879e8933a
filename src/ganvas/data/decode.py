"""From an image file of any common kind to uint8 pixels."""

from __future__ import annotations

import io
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ..errors import RequestError

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".avif")


class Picture(NamedTuple):
    """A decoded file."""

    pixels: np.ndarray  # (C, size, size) uint8
    width: int  # as the file's header tells
    height: int
    grey: bool  # whether red, green and blue are equal everywhere


class Unreadable(Exception):
    """A file holds no image that can be decoded; the message is the reason."""


def decode(data: bytes, file: str, size: int, channels: int) -> Picture:
    """Decode, turn upright, put on white, cut to a centred square, resize and colour.

    Errors: Unreadable for a damaged file, RequestError for a decompression bomb.
    """
    image = _opened(data, file)
    width, height = image.size
    try:
        image.draft(None, (2 * size, 2 * size))  # JPEG alone: decodes at a fraction of the size, never below this
        image.load()  # what is damaged is met here, not where the orientation is sought
        image = ImageOps.fit(_flat(_upright(image)), (size, size), Image.Resampling.LANCZOS)
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(size, size, channels)
    except Exception as error:  # every format's decoder raises what it likes on damaged data
        raise Unreadable(str(error) or type(error).__name__) from error
    grey = bool((pixels == pixels[..., :1]).all())
    return Picture(pixels.transpose(2, 0, 1), width, height, grey)


def dimensions(data: bytes, file: str) -> tuple[int, int]:
    """(width, height) as the header tells, upright or not. Errors as `decode`."""
    return _opened(data, file).size


def _opened(data: bytes, file: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_formats())
    except Image.DecompressionBombError as error:
        raise RequestError(f"{file} may be a decompression bomb ({error}); shrink it or remove it") from error
    except Exception as error:
        reason = "empty file" if not data else "not an image" if isinstance(error, OSError) else str(error)
        raise Unreadable(reason) from error


@cache
def _formats() -> list[str]:
    """What SUFFIXES stand for, as far as Pillow reads it; it would run Ghostscript on PostScript under any name."""
    known = Image.registered_extensions()
    return sorted({known[suffix] for suffix in SUFFIXES if suffix in known})


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says, or as it is where that cannot be read: the pixels are whole all the same."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged metadata raise what they like
        return image


def _flat(image: Image.Image) -> Image.Image:
    """Opaque 8-bit L or RGB: 16-bit grey scaled by its full range, float by 1 or 255 where it keeps to that, and
    transparency laid on white.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        deep = np.nan_to_num(np.asarray(image, np.float64))
        brightest = deep.max(initial=0)
        white = next((w for w in (1.0, 255.0) if brightest <= w), 65535.0) if image.mode == "F" else 65535.0
        return Image.fromarray((deep.clip(0, white) * (255 / white)).round().astype(np.uint8))
    if image.has_transparency_data:
        flat = Image.new("RGBA", image.size, "white")
        flat.alpha_composite(image.convert("RGBA"))
        return flat.convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")
