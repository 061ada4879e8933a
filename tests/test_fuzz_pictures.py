"""Damaged picture files are decoded or unreadable: no other error, no hang, bounded memory."""

from __future__ import annotations

import io
import warnings
from random import Random

import numpy as np
import pytest
from PIL import Image

from ganvas.data.decode import Unreadable, decode, is_transparent, read_header, read_range
from ganvas.errors import RequestError
from ganvas.sizes import Size

KINDS = ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP", "PPM", "AVIF")
MODES = ("L", "RGB", "RGBA", "P", "I;16", "LA", "1")


def whole(r: Random) -> bytes:
    """A small picture of any kind and mode."""
    noise = np.random.default_rng(r.randrange(1000)).integers(0, 256, (24, 20, 4), np.uint8)
    kind, mode = r.choice(KINDS), r.choice(MODES)
    image = Image.fromarray(noise)
    image = Image.fromarray(noise[..., 0].astype(np.uint16) * 200) if mode == "I;16" else image.convert(mode)
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind)
    except (OSError, ValueError, KeyError):  # of another mode
        image = Image.fromarray(noise[..., :3])
        image.save(buffer, kind)
    return buffer.getvalue()


def spoiled(data: bytes, r: Random) -> bytes:
    """The same with some bytes changed, cut off, repeated or put in."""
    spoilt = bytearray(data)
    for _ in range(r.choice((1, 1, 3, 20))):
        at = r.randrange(len(spoilt) + 1) if r.random() < 0.7 else r.randrange(min(80, len(spoilt)) + 1)
        how = r.randrange(4)
        if how == 0:
            spoilt[at : at + 1] = bytes([r.randrange(256)])
        elif how == 1:
            spoilt[at : at + 4] = r.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
        elif how == 2:
            del spoilt[at : at + r.randrange(1, 40)]
        else:
            spoilt[at:at] = spoilt[at : at + r.randrange(1, 40)]
    return bytes(spoilt)


def check(cases: range) -> None:
    for i in cases:
        r = Random(i)
        data = spoiled(whole(r), r)
        channels, levels = r.choice((1, 3, 4)), r.choice((None, (10, 4000)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about files that it can decode
            try:
                pixels = decode(data, "a", Size(8, 8), channels, levels, keep=i % 2 == 0).pixels
                assert pixels.shape == (channels, 8, 8) and pixels.dtype == np.uint8
            except (Unreadable, RequestError) as error:
                assert str(error), i
            for look in (read_header, is_transparent, read_range):
                try:
                    look(io.BytesIO(data), "a")
                except (Unreadable, RequestError) as error:
                    assert str(error), i


def test_damaged_pictures() -> None:
    check(range(60))


@pytest.mark.slow
def test_many_damaged_pictures() -> None:
    check(range(60, 1060))
