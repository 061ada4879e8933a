"""Films: frames as MP4, GIF, animated WebP or numbered PNGs, none of them dropped.

Pillow's own writers leave out a frame that looks like the one before it and show that one for longer. Here the frames
of a film are as many as were given, so that they can be counted, cut and shown beside others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from struct import pack

import torch
from PIL import Image
from torch import Tensor

from . import files, media
from .errors import RequestError

LEAST = 256  # pixels: smaller images are enlarged to about this, by whole factors
WEBP_QUALITY = 85
SLOWEST = 0xFFFF  # hundredths of a second that a frame of a GIF can stand


def picture(images: Tensor, columns: int = 1, least: int = LEAST) -> Image.Image:
    """A frame of images (N, C, H, W) in [-1, 1], row by row without margins, at least about `least` pixels wide."""
    pixels = media.to_uint8(images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images)
    count, height, width, _ = pixels.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), media.PAPER)
    for i, image in enumerate(pixels):
        sheet.paste(Image.fromarray(image), (i % columns * width, i // columns * height))
    factor = max(1, round(least / max(sheet.size)))
    return sheet.resize((sheet.width * factor, sheet.height * factor), Image.Resampling.NEAREST)


def beside(target: Tensor, frames: Iterable[Tensor]) -> Iterator[Image.Image]:
    """Frames with a still at their left: an image and others (C, H, W) in [-1, 1]."""
    for frame in frames:
        yield picture(torch.stack([target, frame]), columns=2, least=2 * LEAST)


def encode_gif(frames: Iterable[Image.Image], fps: float) -> bytes:
    """Frames of one size as a GIF that repeats, each with its own 256 colours; delays are whole hundredths of a second
    that together take as long as the film.
    """
    body, shown, size = BytesIO(), 0, (1, 1)
    for i, frame in enumerate(frames, 1):
        size, single = frame.size, BytesIO()
        frame.quantize(256, dither=Image.Dither.NONE).save(single, "GIF", interlace=False)
        data = single.getvalue()
        flags = data[10]  # a table of 2^(n+1) colours follows the header of 13 bytes, then the image, then a mark
        start = 13 + 3 * (2 << (flags & 7))
        ends = round(100 * i / fps)
        delay, shown = min(SLOWEST, max(1, ends - shown)), ends
        body.write(b"\x21\xf9\x04" + pack("<BHBB", 4, delay, 0, 0))  # graphic control: leave the frame in place
        body.write(data[start : start + 9] + bytes([0x80 | flags & 7]) + data[13:start] + data[start + 10 : -1])
    loop = b"\x21\xff\x0bNETSCAPE2.0" + pack("<BBHB", 3, 1, 0, 0)
    return b"GIF89a" + pack("<HHBBB", *size, 0x70, 0, 0) + loop + body.getvalue() + b";"


def encode_webp(frames: Iterable[Image.Image], fps: float) -> bytes:
    """Frames of one size as an animated WebP that repeats: RFC 9649's container around stills that Pillow encodes."""
    body, shown, size = BytesIO(), 0, (1, 1)
    for i, frame in enumerate(frames, 1):
        size, single = frame.size, BytesIO()
        frame.convert("RGB").save(single, "WEBP", quality=WEBP_QUALITY, method=4)
        still = single.getvalue()[12:]  # after RIFF, its length and WEBP
        ends = round(1000 * i / fps)
        place = bytes(6) + _three(size[0] - 1) + _three(size[1] - 1) + _three(max(1, ends - shown))
        body.write(_chunk(b"ANMF", place + b"\x02" + still))  # 2: over the canvas, without blending
        shown = ends
    canvas = _chunk(b"VP8X", pack("<I", 0x02) + _three(size[0] - 1) + _three(size[1] - 1))
    content = b"WEBP" + canvas + _chunk(b"ANIM", pack("<IH", 0xFFFFFFFF, 0)) + body.getvalue()
    return b"RIFF" + pack("<I", len(content)) + content


def _three(value: int) -> bytes:
    return pack("<I", value)[:3]


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + pack("<I", len(data)) + data + bytes(len(data) % 2)


def encode_mp4(frames: Iterable[Image.Image], fps: float) -> bytes:
    """H.264 in MP4; see `media.encode_mp4`."""
    return media.encode_mp4(frames, fps)


ENCODERS: dict[str, Callable[[Iterable[Image.Image], float], bytes]] = {
    ".mp4": encode_mp4,
    ".gif": encode_gif,
    ".webp": encode_webp,
}


def is_film(out: str | Path) -> bool:
    """Whether `out` names a file that `write` encodes."""
    return Path(out).suffix.lower() in ENCODERS


def check(out: str, fps: float) -> None:
    """Raise RequestError where `write` could not write this: before the frames are made, which takes long."""
    if _folder(out):
        return
    kind = Path(out).suffix.lower()
    if kind not in ENCODERS:
        raise RequestError(f"--out {out}: {kind} is not written; name a {', a '.join(ENCODERS)} or a directory/")
    if kind == ".mp4":
        media.need_ffmpeg()
    if kind == ".gif" and fps > 50:
        raise RequestError(f"--fps {fps:g}: viewers slow a GIF of over 50 frames a second down; write a .webp or .mp4")


def _folder(out: str) -> bool:
    return out.endswith(("/", os.sep)) or Path(out).is_dir() or not Path(out).suffix


def write(frames: Iterable[Image.Image], out: str, fps: float) -> None:
    """Write a film: by its suffix as MP4, GIF or WebP, or into a directory as frame-00000.png and so on.

    A directory is one that exists, or whose name ends with a separator or has no suffix. Raises RequestError for what
    `check` refuses, OSError where writing fails; an older file then survives.
    """
    check(out, fps)
    if not _folder(out):
        files.write(Path(out), ENCODERS[Path(out).suffix.lower()](frames, fps))
        return
    for i, frame in enumerate(frames):
        media.save_png(frame, Path(out) / f"frame-{i:05d}.png")
