"""Films: frames as MP4, GIF, animated WebP or numbered PNGs, written as they come.

Pillow's own writers merge equal frames. Here a film has exactly the frames that it was given, so that they can be
counted, cut and shown side by side.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from io import BytesIO
from itertools import chain
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory

from PIL import Image
from torch import Tensor

from . import files, media
from .errors import RequestError

LEAST = 256  # pixels: smaller images are enlarged to about this, by whole factors
WEBP_QUALITY = 85
SLOWEST = 0xFFFF  # hundredths of a second, the longest frame of a GIF
# With x264's default quality the first frame is visibly sharper than the last, and a loop jumps. Without a named colour
# space, players choose one by the height.
BT709 = "bt709"
H264 = ("-crf", "18", "-vf", f"scale=out_color_matrix={BT709}:out_range=tv", "-movflags", "+faststart")
COLOURS = ("-colorspace", BT709, "-color_primaries", BT709, "-color_trc", BT709, "-color_range", "tv")


def picture(images: Tensor, columns: int = 1, least: int = LEAST) -> Image.Image:
    """A frame of images (N, C, H, W) in [-1, 1], row by row without margins, at least about `least` pixels wide."""
    pixels = media.to_uint8(images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images)
    count, height, width, _ = pixels.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), media.PAPER)
    for i, image in enumerate(pixels):
        sheet.paste(Image.fromarray(image), (i % columns * width, i // columns * height))
    return media.enlarged(sheet, least)


def encode_gif(frames: Iterable[Image.Image], fps: float, path: Path) -> Iterator[int]:
    """Frames of one size as a GIF that repeats, each with its own 256 colours; delays add up to the film's length."""
    shown = 0
    with path.open("wb") as file:
        for i, frame in enumerate(frames, 1):
            if i == 1:
                loop = b"\x21\xff\x0bNETSCAPE2.0" + pack("<BBHB", 3, 1, 0, 0)
                file.write(b"GIF89a" + pack("<HHBBB", *frame.size, 0x70, 0, 0) + loop)
            single = BytesIO()
            frame.quantize(256, dither=Image.Dither.NONE).save(single, "GIF", interlace=False)
            data = single.getvalue()
            flags = data[10]  # header of 13 bytes, table of 2^(n+1) colours, image, end mark
            start = 13 + 3 * (2 << (flags & 7))
            ends = round(100 * i / fps)
            delay, shown = min(SLOWEST, max(1, ends - shown)), ends
            file.write(b"\x21\xf9\x04" + pack("<BHBB", 4, delay, 0, 0))  # graphic control: leave the frame in place
            file.write(data[start : start + 9] + bytes([0x80 | flags & 7]) + data[13:start] + data[start + 10 : -1])
            yield i
        file.write(b";")


def encode_webp(frames: Iterable[Image.Image], fps: float, path: Path) -> Iterator[int]:
    """Frames of one size as an animated WebP that repeats: RFC 9649's container around stills that Pillow encodes."""
    shown = 0
    with path.open("wb") as file:
        for i, frame in enumerate(frames, 1):
            size = _three(frame.width - 1) + _three(frame.height - 1)
            if i == 1:
                file.write(b"RIFF" + bytes(4) + b"WEBP" + _chunk(b"VP8X", pack("<I", 0x02) + size))
                file.write(_chunk(b"ANIM", pack("<IH", 0xFFFFFFFF, 0)))
            single = BytesIO()
            frame.convert("RGB").save(single, "WEBP", quality=WEBP_QUALITY, method=4)
            still = single.getvalue()[12:]  # after RIFF, its length and WEBP
            ends = round(1000 * i / fps)
            place = bytes(6) + size + _three(max(1, ends - shown))
            file.write(_chunk(b"ANMF", place + b"\x02" + still))  # 2: over the canvas, without blending
            shown = ends
            yield i
        length = file.tell() - 8
        file.seek(4)
        file.write(pack("<I", length))


def _three(value: int) -> bytes:
    return pack("<I", value)[:3]


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + pack("<I", len(data)) + data + bytes(len(data) % 2)


def encode_mp4(frames: Iterable[Image.Image], fps: float, path: Path) -> Iterator[int]:
    """Frames of one size as H.264 in MP4, cropped to an even size: browsers only play 4:2:0.

    Raises RequestError where the extra [video] is missing.
    """
    need_ffmpeg()
    from imageio_ffmpeg import write_frames  # pyright: ignore[reportMissingImports]

    left = iter(frames)
    first = next(left)
    size = (first.width // 2 * 2, first.height // 2 * 2)
    writer = write_frames(
        path,
        size,
        fps=fps,  # pyright: ignore[reportArgumentType] - its stub asks for whole numbers, ffmpeg does not
        codec="libx264",
        quality=None,  # pyright: ignore[reportArgumentType] - H264 says it
        macro_block_size=2,
        output_params=[*H264, *COLOURS],
    )
    writer.send(None)
    try:
        for i, frame in enumerate(chain([first], left), 1):
            writer.send(frame.convert("RGB").crop((0, 0, *size)).tobytes())
            yield i
    finally:
        writer.close()


def need_ffmpeg() -> None:
    """Raise RequestError where the extra [video] is missing."""
    if not find_spec("imageio_ffmpeg"):
        raise RequestError("an MP4 needs imageio-ffmpeg", "pip install 'ganvas[video]', or write a .webp or .gif")


def preferred() -> str:
    """The suffix of the best format: .mp4 with the extra [video], else .webp, which browsers show too."""
    return ".mp4" if find_spec("imageio_ffmpeg") else ".webp"


ENCODERS: dict[str, Callable[[Iterable[Image.Image], float, Path], Iterator[int]]] = {
    ".mp4": encode_mp4,
    ".gif": encode_gif,
    ".webp": encode_webp,
}


def encode_clip(frames: Sequence[Image.Image], fps: float) -> tuple[str, bytes]:
    """Frames of one size as a clip for a page: (media type, bytes)."""
    kind = preferred()
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"clip{kind}"
        for _ in ENCODERS[kind](frames, fps, path):
            pass
        return {".mp4": "video/mp4", ".webp": "image/webp"}[kind], path.read_bytes()


def check(out: str | Path, fps: float, field: str = "out") -> None:
    """Raise RequestError for what `write` would refuse, before the frames are made."""
    if not 0 < fps <= 1000:
        raise RequestError(f"{fps:g} frames a second are not possible", "give above 0, up to 1000", field="fps")
    if is_folder(out):
        return
    kind = Path(out).suffix.lower()
    if kind not in ENCODERS:
        raise RequestError(f"{kind} is not written", f"name a {', a '.join(ENCODERS)} or a directory/", field=field)
    if kind == ".mp4":
        need_ffmpeg()
    if kind == ".gif" and fps > 50:
        raise RequestError(f"viewers slow a GIF of {fps:g} a second down", "use 50 or fewer, or a .webp", field="fps")


def is_folder(out: str | Path) -> bool:
    """Whether `out` names a directory: one that exists, or a name that ends with a separator or has no suffix."""
    return str(out).endswith(("/", os.sep)) or Path(out).is_dir() or not Path(out).suffix


def write(frames: Iterable[Image.Image], out: str | Path, fps: float) -> Iterator[int]:
    """Write a film by the suffix of `out`, or frame-00000.png and so on into a directory (see `is_folder`).

    Yields the number of frames so far; the file appears after the last. Raises RequestError for what `check` refuses
    and where there is no frame, OSError where writing fails; an older file then survives.
    """
    check(out, fps)
    left = iter(frames)
    first = next(left, None)
    if first is None:
        raise RequestError("a film needs one frame or more", "make it longer")
    frames = chain([first], left)
    if is_folder(out):
        for i, frame in enumerate(frames):
            media.save_png(frame, Path(out) / f"frame-{i:05d}.png")
            yield i + 1
        return
    with files.new_file(Path(out)) as path:
        yield from ENCODERS[path.suffix.lower()](frames, fps, path)
