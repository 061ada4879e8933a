"""Decoding image files of all common kinds to uint8 pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from ..errors import RequestError
from ..sizes import Size

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".avif")


CLEAR, CLEAR_SHARE = 250, 0.01  # a picture is transparent if more than this share of it has a smaller alpha


class Picture(NamedTuple):
    """A decoded file."""

    pixels: np.ndarray  # (C, height, width) uint8
    width: int  # of the file, upright
    height: int
    grey: bool  # whether red, green and blue are equal everywhere
    transparent: bool = False  # whether the file is, in more than a few pixels


class Unreadable(Exception):
    """A file is not an image that can be decoded; the message is the reason."""


class Header(NamedTuple):
    """What the beginning of a file says."""

    width: int  # upright
    height: int
    alpha: bool  # whether pixels may be transparent


def decode(data: bytes, file: str, size: Size, channels: int) -> Picture:
    """Decode, turn upright, cut the middle in the shape of `size`, resize, and make grey (1), colour (3), or colour
    premultiplied by alpha, and alpha (4). Without alpha, transparency is laid on white.

    Errors: Unreadable for a damaged file, RequestError for a decompression bomb.
    """
    image = _opened(io.BytesIO(data), file)
    whole = image.size
    # JPEG alone: decodes at a fraction of the size, never less
    image.draft(None, (2 * max(size), 2 * max(size)))
    with _blaming():
        image.load()  # raises here for damaged files, not where the orientation is read
        width, height = whole[::-1] if _is_turned(image) else whole
        image = _shallow(_upright(image))
        transparent = _is_transparent(image)
        image = ImageOps.fit(_premultiplied(image) if channels == 4 else _flat(image), size, Image.Resampling.LANCZOS)
        if channels < 4:
            image = image.convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(image).reshape(size.height, size.width, channels)
    if channels == 4:
        pixels = np.minimum(pixels, pixels[..., 3:])  # where the resampling overshoots
    colour = pixels[..., :3]
    grey = bool((colour == colour[..., :1]).all())
    return Picture(pixels.transpose(2, 0, 1), width, height, grey, transparent)


def read_header(content: BinaryIO, file: str) -> Header:
    """Reads no further than the pixels begin. Errors as `decode`."""
    image = _opened(content, file)
    with _blaming():
        # Pillow would decode a PNG to find metadata after its pixels.
        turned = (image.format != "PNG" or "exif" in image.info) and _is_turned(image)
        width, height = image.size[::-1] if turned else image.size
        return Header(width, height, image.has_transparency_data)


def is_transparent(content: BinaryIO, file: str) -> bool:
    """Whether more than a few pixels are. Errors as `decode`."""
    image = _opened(content, file)
    with _blaming():
        return _is_transparent(_shallow(image))


@contextmanager
def _blaming() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # decoders raise errors of any kind for damaged data
        raise Unreadable(str(error) or type(error).__name__) from error


def _opened(content: BinaryIO, file: str) -> Image.Image:
    try:
        return Image.open(content, formats=_formats())
    except Image.DecompressionBombError as error:
        raise RequestError(f"{file} may be a decompression bomb ({error})", "shrink it or remove it") from error
    except Exception as error:
        empty = not content.seek(0, io.SEEK_END)
        reason = "empty file" if empty else "not an image" if isinstance(error, OSError) else str(error)
        raise Unreadable(reason) from error


@cache
def _formats() -> list[str]:
    """The formats of SUFFIXES that Pillow reads, and no others: for PostScript it would run Ghostscript."""
    known = Image.registered_extensions()
    return sorted({known[suffix] for suffix in SUFFIXES if suffix in known})


def _is_turned(image: Image.Image) -> bool:
    """Whether its EXIF says that width and height are the other way round."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except Exception:  # damaged metadata raise errors of any kind
        return False


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says, or unchanged if that cannot be read."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _shallow(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits in 8. 16-bit is scaled by its full range; float by 1 or 255 if no value is larger, else
    by 65535.
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    deep = np.nan_to_num(np.asarray(image, np.float64))
    brightest = deep.max(initial=0)
    white = next((w for w in (1.0, 255.0) if brightest <= w), 65535.0) if image.mode == "F" else 65535.0
    shallow = Image.fromarray((deep.clip(0, white) * (255 / white)).round().astype(np.uint8))
    if (hidden := image.info.get("transparency")) is not None:
        shallow.putalpha(Image.fromarray(np.where(deep == hidden, 0, 255).astype(np.uint8)))
    return shallow


def _is_transparent(image: Image.Image) -> bool:
    if not image.has_transparency_data:
        return False
    histogram = image.convert("RGBA").getchannel("A").histogram()
    return sum(histogram[:CLEAR]) > CLEAR_SHARE * sum(histogram)


def _premultiplied(image: Image.Image) -> Image.Image:
    """RGBa: colour times alpha, so that what is hidden has no colour that resizing could bring to the edges."""
    return image.convert("RGBA").convert("RGBa")


def _flat(image: Image.Image) -> Image.Image:
    """Opaque L or RGB, transparency laid on white."""
    if image.has_transparency_data:
        flat = Image.new("RGBA", image.size, "white")
        flat.alpha_composite(image.convert("RGBA"))
        return flat.convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")
