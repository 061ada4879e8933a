"""Decoding image files of all common kinds to uint8 pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from ..errors import RequestError
from ..sizes import Size

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".avif"),
    *(".heic", ".heif"),  # with pillow-heif
)
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")  # of the kinds that begin with b"....ftyp"
CLEAR, CLEAR_SHARE = 250, 0.01  # a picture is transparent if more than this share of it has a smaller alpha
DEEPEST = 65535  # of 16 bits
SPREAD = (0.1, 99.9)  # the percentiles between which a picture's values lie; a few broken pixels do not count
MEASURED = 2**20  # about as many pixels are measured of a picture
TRUNCATED = "its last bytes are missing"
END = b"\xff\xd9"  # of a JPEG; with it, libjpeg leaves grey what is missing

EXIF = {"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"}  # where Pillow looks for it in a PNG
TURNED = (5, 6, 7, 8)  # orientations in which width and height are the other way round

Levels = tuple[float, float]  # the values that become black and white


class Form(NamedTuple):
    """How each picture of a set is decoded: the further arguments of `decode`."""

    size: Size
    channels: int  # 3 for colour that may turn out to be grey
    levels: Levels | None = None
    keep: bool = False  # what is there of truncated ones


class Picture(NamedTuple):
    """A decoded file."""

    pixels: np.ndarray  # (C, height, width) uint8
    width: int  # of the file, upright
    height: int
    grey: bool = False  # whether red, green and blue are equal everywhere
    transparent: bool = False  # whether the file is, in more than a few pixels
    truncated: bool = False  # whether its last bytes are missing


class Unreadable(Exception):
    """A file is not an image that can be decoded; the message is the reason."""


class Header(NamedTuple):
    """What the beginning of a file says."""

    width: int  # upright
    height: int
    alpha: bool  # whether pixels may be transparent
    deep: bool  # whether values have more than 8 bits


class Range(NamedTuple):
    """The values of a deep picture."""

    low: float
    high: float
    floating: bool
    colour: bool  # Pillow keeps 8 of 16 bits of colour


def decode(
    data: bytes, file: str, size: Size, channels: int, levels: Levels | None = None, keep: bool = False
) -> Picture:
    """Decode, turn upright, cut the middle in the shape of `size`, resize, and make grey (1), colour (3), or colour
    premultiplied by alpha, and alpha (4). Without alpha, transparency is laid on white.

    levels: of pictures with more than 8 bits. None scales 16 bits by their full range, and floating point numbers by
        1 or 255 if none is larger, else by 65535.
    keep: decode what is there of a JPEG that lacks its last bytes; the rest is grey.
    Errors: Unreadable for a damaged file, RequestError for a decompression bomb.
    """
    try:
        return _decoded(data, file, size, channels, levels)
    except Unreadable as error:
        if not keep or str(error) != TRUNCATED:
            raise
        return _decoded(data + END, file, size, channels, levels)._replace(truncated=True)


def _decoded(data: bytes, file: str, size: Size, channels: int, levels: Levels | None) -> Picture:
    image = _opened(io.BytesIO(data), file)
    whole, deep_colour = image.size, _is_deep_colour(image)
    # JPEG alone: decodes at a fraction of the size, never less
    image.draft(None, (2 * max(size), 2 * max(size)))
    with _blaming(image):
        image.load()  # raises here for damaged files, not where the orientation is read
        turn = _orientation(image)
        width, height = whole[::-1] if turn in TURNED else whole
        image = _shallow(image if turn == 1 else _upright(image), levels, deep_colour)
        transparent = _is_transparent(image)
        image = _resized(_premultiplied(image) if channels == 4 else _flat(image), size)
        mode = "L" if channels == 1 else "RGB"
        if channels < 4 and image.mode != mode:  # converting to the same mode would copy
            image = image.convert(mode)
        pixels = np.asarray(image).reshape(size.height, size.width, channels)
    if channels == 4:
        pixels = np.minimum(pixels, pixels[..., 3:])  # where the resampling overshoots
    return Picture(pixels.transpose(2, 0, 1), width, height, _is_grey(pixels), transparent)


def read_header(content: BinaryIO, file: str) -> Header:
    """Reads no further than the pixels begin. Errors as `decode`."""
    image = _opened(content, file)
    with _blaming(image):
        # Pillow would decode a PNG to find metadata after its pixels.
        turned = (image.format != "PNG" or "exif" in image.info) and _orientation(image) in TURNED
        width, height = image.size[::-1] if turned else image.size
        return Header(width, height, image.has_transparency_data, _is_deep(image) or _is_deep_colour(image))


def is_transparent(content: BinaryIO, file: str) -> bool:
    """Whether more than a few pixels are. Errors as `decode`."""
    image = _opened(content, file)
    with _blaming(image):
        return _is_transparent(_shallow(image, None, False))


def read_range(content: BinaryIO, file: str) -> Range:
    """Between which values a picture of more than 8 bits lies. Errors as `decode`."""
    image = _opened(content, file)
    with _blaming(image):
        if colour := not _is_deep(image):
            image = image.convert("RGB")
        values = np.asarray(image).reshape(-1)
        values = values[:: -(-values.size // MEASURED)]
        low, high = np.percentile(values[np.isfinite(values)], SPREAD, method="nearest").tolist()
        scale = DEEPEST // 255 if colour else 1
        return Range(scale * low, scale * high, image.mode == "F", colour)


@contextmanager
def _blaming(image: Image.Image) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # decoders raise errors of any kind for damaged data
        reason = str(error) or type(error).__name__
        cut = image.format in ("JPEG", "MPO") and reason.startswith("image file is truncated")
        raise Unreadable(TRUNCATED if cut else reason) from error


def _opened(content: BinaryIO, file: str) -> Image.Image:
    start = content.read(40)
    content.seek(0)
    heic = start[4:8] == b"ftyp" and any(brand in start for brand in HEIC)
    if heic and not _reads_heic():
        raise Unreadable("HEIC needs pip install 'ganvas[heic]'")
    try:
        return Image.open(content, formats=("HEIF",) if heic else _formats())
    except Image.DecompressionBombError as error:
        raise RequestError(f"{file} may be a decompression bomb ({error})", "shrink it or remove it") from error
    except Exception as error:
        reason = "empty file" if not start else "not an image" if isinstance(error, OSError) else str(error)
        raise Unreadable(reason) from error


@cache
def _formats() -> list[str]:
    """The formats of SUFFIXES that Pillow reads, and no others: for PostScript it would run Ghostscript."""
    known = Image.registered_extensions()
    found = {known[suffix] for suffix in SUFFIXES if suffix in known}
    return sorted(found, key=lambda name: (name not in ("PNG", "JPEG"), name))  # tried in this order


@cache
def _reads_heic() -> bool:
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _orientation(image: Image.Image) -> int:
    """How its EXIF says that it must be turned: 1 is not at all."""
    if image.format == "PNG" and not EXIF & image.info.keys():
        return 1  # looking for it takes longer
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata raise errors of any kind
        return 1


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says, or unchanged if that cannot be read."""
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _is_deep(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether the file, which is not decoded yet, has more bits of colour than Pillow keeps."""
    return not _is_deep(image) and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _shallow(image: Image.Image, levels: Levels | None, deep_colour: bool) -> Image.Image:
    """More than 8 bits in 8: `levels` become black and white."""
    if deep_colour and levels:
        black, white = levels
        table = np.clip((np.arange(256) * (DEEPEST // 255) - black) * (255 / (white - black)), 0, 255).round().tolist()
        return image.point([v for band in image.getbands() for v in (range(256) if band == "A" else table)])
    if not _is_deep(image):
        return image
    deep = np.nan_to_num(np.asarray(image, np.float64))
    brightest = deep.max(initial=0)
    white = next((w for w in (1, 255) if brightest <= w), DEEPEST) if image.mode == "F" else DEEPEST
    black, white = levels or (0, white)
    shallow = Image.fromarray(((deep - black) * (255 / (white - black))).clip(0, 255).round().astype(np.uint8))
    if (hidden := image.info.get("transparency")) is not None:
        shallow.putalpha(Image.fromarray(np.where(deep == hidden, 0, 255).astype(np.uint8)))
    return shallow


def _is_grey(pixels: np.ndarray) -> bool:
    """Whether the colours of (H, W, C) are equal; of most pictures the first pixel shows that they are not."""
    first = pixels[0, 0, :3].tolist()
    return first.count(first[0]) == len(first) and bool((pixels[..., :3] == pixels[..., :1]).all())


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
    mode = "L" if image.mode in ("1", "L") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _resized(image: Image.Image, size: Size) -> Image.Image:
    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.LANCZOS)
