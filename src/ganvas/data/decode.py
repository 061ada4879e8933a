"""Decoding image files of all common kinds to uint8 pixels."""

from __future__ import annotations

import io
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ..errors import RequestError
from ..sizes import Size

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".avif")


class Picture(NamedTuple):
    """A decoded file."""

    pixels: np.ndarray  # (C, height, width) uint8
    width: int  # as the file's header says
    height: int
    grey: bool  # whether red, green and blue are equal everywhere


class Unreadable(Exception):
    """A file is not an image that can be decoded; the message is the reason."""


def decode(data: bytes, file: str, size: Size, channels: int) -> Picture:
    """Decode, turn upright, lay on white, cut the middle in the shape of `size`, resize, and make grey or colour.

    Errors: Unreadable for a damaged file, RequestError for a decompression bomb.
    """
    image = _opened(data, file)
    width, height = image.size
    try:
        image.draft(
            None, (2 * size.width, 2 * size.height)
        )  # JPEG alone: decodes at a fraction of the size, never less
        image.load()  # raises here for damaged files, not where the orientation is read
        image = ImageOps.fit(_flat(_upright(image)), size, Image.Resampling.LANCZOS)
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(size.height, size.width, channels)
    except Exception as error:  # decoders raise errors of any kind for damaged data
        raise Unreadable(str(error) or type(error).__name__) from error
    grey = bool((pixels == pixels[..., :1]).all())
    return Picture(pixels.transpose(2, 0, 1), width, height, grey)


def dimensions(data: bytes, file: str) -> tuple[int, int]:
    """(width, height) as the header says, upright or not. Errors as `decode`."""
    return _opened(data, file).size


def _opened(data: bytes, file: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_formats())
    except Image.DecompressionBombError as error:
        raise RequestError(f"{file} may be a decompression bomb ({error})", "shrink it or remove it") from error
    except Exception as error:
        reason = "empty file" if not data else "not an image" if isinstance(error, OSError) else str(error)
        raise Unreadable(reason) from error


@cache
def _formats() -> list[str]:
    """The formats of SUFFIXES that Pillow reads, and no others: for PostScript it would run Ghostscript."""
    known = Image.registered_extensions()
    return sorted({known[suffix] for suffix in SUFFIXES if suffix in known})


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says, or unchanged if that cannot be read."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged metadata raise errors of any kind
        return image


def _flat(image: Image.Image) -> Image.Image:
    """Opaque 8-bit L or RGB, transparency laid on white. 16-bit grey is scaled by its full range; float by 1 or 255 if
    no value is larger, else by 65535.
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
