"""Films: frames as MP4, WebM, ProRes, GIF, animated WebP or numbered PNGs, written as they come.

Frames are RGB, or RGBA with straight colour, whose transparency all of them keep but MP4.

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

from . import alpha, files, media
from .errors import RequestError
from .progress import Note

LEAST = 256  # pixels: smaller images are enlarged to about this, by whole factors
WEBP_QUALITY = 85
SLOWEST = 0xFFFF  # hundredths of a second, the longest frame of a GIF
# With x264's default quality the first frame is visibly sharper than the last, and a loop jumps. Without a named colour
# space, players choose one by the height.
BT709 = "bt709"
COLOURS = (
    *("-vf", f"scale=out_color_matrix={BT709}:out_range=tv", "-color_range", "tv"),
    *("-colorspace", BT709, "-color_primaries", BT709, "-color_trc", BT709),
)
H264 = ("-crf", "18", "-movflags", "+faststart")
VP9 = ("-crf", "18", "-b:v", "0", "-cpu-used", "4", "-auto-alt-ref", "0")  # alpha allows no hidden frames
PRORES = ("-profile:v", "4444", "-alpha_bits", "16", "-vendor", "apl0")
SEEN, HIDDEN = 128, 255  # a GIF shows pixels of this alpha and more; the colour that stands for the others


def picture(images: Tensor, columns: int = 1, least: int = LEAST) -> Image.Image:
    """A frame of images (N, C, H, W) in [-1, 1], row by row without margins, at least about `least` pixels wide."""
    pixels = media.to_uint8(images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images)
    count, height, width, _ = pixels.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    mode, paper = ("RGBA", (0, 0, 0, 0)) if alpha.has_alpha(images.shape) else ("RGB", media.PAPER)
    sheet = Image.new(mode, (columns * width, rows * height), paper)
    for i, image in enumerate(pixels):
        sheet.paste(Image.fromarray(image), (i % columns * width, i // columns * height))
    return media.enlarged(sheet, least)


def encode_gif(frames: Iterable[Image.Image], fps: float, path: Path) -> Iterator[int]:
    """Frames of one size as a GIF that repeats, each with its own 256 colours; delays add up to the film's length.

    A GIF's pixels are seen or not: half transparent ones become one or the other.
    """
    shown = 0
    with path.open("wb") as file:
        for i, frame in enumerate(frames, 1):
            if i == 1:
                loop = b"\x21\xff\x0bNETSCAPE2.0" + pack("<BBHB", 3, 1, 0, 0)
                file.write(b"GIF89a" + pack("<HHBBB", *frame.size, 0x70, 0, 0) + loop)
            single, cut_out = BytesIO(), frame.mode == "RGBA"
            paletted(frame).save(single, "GIF", interlace=False, optimize=not cut_out)
            data = single.getvalue()
            flags = data[10]  # header of 13 bytes, table of 2^(n+1) colours, image, end mark
            start = 13 + 3 * (2 << (flags & 7))
            ends = round(100 * i / fps)
            delay, shown = min(SLOWEST, max(1, ends - shown)), ends
            # graphic control: leave the frame in place, or clear it and hide one colour
            control = (2 << 2 | 1, delay, HIDDEN, 0) if cut_out else (1 << 2, delay, 0, 0)
            file.write(b"\x21\xf9\x04" + pack("<BHBB", *control))
            file.write(data[start : start + 9] + bytes([0x80 | flags & 7]) + data[13:start] + data[start + 10 : -1])
            yield i
        file.write(b";")


def paletted(frame: Image.Image) -> Image.Image:
    """A frame in its own 256 colours; of one with alpha the last stands for what is hidden."""
    if frame.mode != "RGBA":
        return frame.quantize(256, dither=Image.Dither.NONE)
    found = frame.convert("RGB").quantize(HIDDEN, dither=Image.Dither.NONE)
    found.paste(HIDDEN, mask=frame.getchannel("A").point([255 * (a < SEEN) for a in range(256)]))
    found.putpalette(bytes(found.getpalette() or []).ljust(768, b"\0"))
    return found


def encode_webp(frames: Iterable[Image.Image], fps: float, path: Path) -> Iterator[int]:
    """Frames of one size as an animated WebP that repeats: RFC 9649's container around stills that Pillow encodes."""
    shown = 0
    with path.open("wb") as file:
        for i, frame in enumerate(frames, 1):
            size = _three(frame.width - 1) + _three(frame.height - 1)
            transparent = frame.mode == "RGBA"
            if i == 1:
                flags = 0x12 if transparent else 0x02  # animation, alpha
                file.write(b"RIFF" + bytes(4) + b"WEBP" + _chunk(b"VP8X", pack("<I", flags) + size))
                file.write(_chunk(b"ANIM", pack("<IH", 0xFFFFFFFF, 0)))
            single = BytesIO()
            frame.convert("RGBA" if transparent else "RGB").save(single, "WEBP", quality=WEBP_QUALITY, method=4)
            still = single.getvalue()[12:]  # after RIFF, its length and WEBP
            still = still[18:] if still.startswith(b"VP8X") else still  # the film has its own
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
    """Frames of one size as H.264 in MP4, on white: it has no transparency. RequestError without the extra [video]."""
    yield from encode_video(map(media.on_white, frames), fps, path, "libx264", ("yuv420p", ""), H264)


def encode_webm(frames: Iterable[Image.Image], fps: float, path: Path) -> Iterator[int]:
    """Frames of one size as VP9 in WebM. RequestError without the extra [video]."""
    yield from encode_video(frames, fps, path, "libvpx-vp9", ("yuv420p", "yuva420p"), VP9)


def encode_mov(frames: Iterable[Image.Image], fps: float, path: Path) -> Iterator[int]:
    """Frames of one size as ProRes 4444 in QuickTime, for editing. RequestError without the extra [video]."""
    yield from encode_video(frames, fps, path, "prores_ks", ("yuv444p10le", "yuva444p10le"), PRORES)


def encode_video(
    frames: Iterable[Image.Image], fps: float, path: Path, codec: str, formats: tuple[str, str], more: Sequence[str]
) -> Iterator[int]:
    """Frames of one size, cropped to an even size: browsers only play 4:2:0.

    formats: of ffmpeg, for RGB and for RGBA frames. Raises RequestError where the extra [video] is missing.
    """
    need_ffmpeg()
    from imageio_ffmpeg import write_frames  # pyright: ignore[reportMissingImports]

    left = iter(frames)
    first = next(left)
    size = (first.width // 2 * 2, first.height // 2 * 2)
    transparent = first.mode == "RGBA"
    writer = write_frames(
        path,
        size,
        fps=fps,  # pyright: ignore[reportArgumentType] - its stub asks for whole numbers, ffmpeg does not
        codec=codec,
        pix_fmt_in="rgba" if transparent else "rgb24",
        pix_fmt_out=formats[transparent],
        quality=None,  # pyright: ignore[reportArgumentType] - `more` says it
        macro_block_size=2,
        output_params=[*COLOURS, *more],
    )
    writer.send(None)
    try:
        for i, frame in enumerate(chain([first], left), 1):
            writer.send(frame.convert(first.mode).crop((0, 0, *size)).tobytes())
            yield i
    finally:
        writer.close()


def need_ffmpeg() -> None:
    """Raise RequestError where the extra [video] is missing."""
    if not find_spec("imageio_ffmpeg"):
        raise RequestError("a video needs imageio-ffmpeg", "pip install 'ganvas[video]', or write a .webp or .gif")


def preferred(transparent: bool = False) -> str:
    """The suffix of the best format: .mp4 with the extra [video], else .webp, which browsers show too."""
    return ".mp4" if find_spec("imageio_ffmpeg") and not transparent else ".webp"


def losses(out: str | Path, shape: Sequence[int]) -> Iterator[Note]:
    """What a film of items of this shape loses in its format, in a note."""
    if alpha.has_alpha(shape) and Path(out).suffix.lower() == ".mp4":
        yield Note("MP4 has no transparency: the film is laid on white; .webp, .webm and .mov keep it")


ENCODERS: dict[str, Callable[[Iterable[Image.Image], float, Path], Iterator[int]]] = {
    ".mp4": encode_mp4,
    ".gif": encode_gif,
    ".webp": encode_webp,
    ".webm": encode_webm,
    ".mov": encode_mov,
}
VIDEOS = (".mp4", ".webm", ".mov")  # which need the extra [video]


def encode_clip(frames: Sequence[Image.Image], fps: float) -> tuple[str, bytes]:
    """Frames of one size as a clip for a page: (media type, bytes)."""
    kind = preferred(frames[0].mode == "RGBA")
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
    if kind in VIDEOS:
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
