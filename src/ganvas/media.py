"""What people look at: grids of images, generated beside real ones, point clouds, PNG files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from . import files
from .errors import RequestError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

READABLE = 48  # pixels: smaller images are enlarged to about this, by whole factors, so that they stay crisp
PAPER = (255, 255, 255)
INK = (90, 90, 90)
CAPTION, GAP = 24, 16  # pixels above, and between, two grids side by side
FOUND, FRAME = 96, 4  # pixels: the largest side of what a query found, and of the frame around what is right
RIGHT = (46, 160, 67)
# How films are encoded. At the default of x264 the first frame is visibly sharper than the last, and a loop jumps; one
# that does not say how its colours are written is read in another way from some height on.
BT709 = "bt709"
H264 = ("-crf", "18", "-vf", f"scale=out_color_matrix={BT709}:out_range=tv", "-movflags", "+faststart")
COLOURS = ("-colorspace", BT709, "-color_primaries", BT709, "-color_trc", BT709, "-color_range", "tv")
NUMBERED = 20  # classes: the cells of a larger confusion matrix have no room for numbers


def to_uint8(x: Tensor) -> NDArray[np.uint8]:
    """Images (N, C, H, W) in [-1, 1] -> (N, H, W, C) in 0..255, rounded; what lies outside is clamped."""
    x = x.detach().to("cpu", torch.float32).nan_to_num(0.0)
    return x.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def grid(x: Tensor, columns: int | None = None) -> Image.Image:
    """Images (N, C, H, W) in [-1, 1], row by row on white; `columns` is by default what makes it nearly square."""
    pixels = to_uint8(x)
    if pixels.shape[3] == 1:
        pixels = pixels.repeat(3, axis=3)
    count, height, width, _ = pixels.shape
    columns = columns or math.ceil(math.sqrt(count))
    factor = max(1, round(READABLE / max(height, width)))
    pixels = pixels.repeat(factor, axis=1).repeat(factor, axis=2)
    margin = max(2, factor * max(height, width) // 24)
    down, across = factor * height + margin, factor * width + margin  # from one cell to the next
    sheet = np.full((math.ceil(count / columns) * down + margin, columns * across + margin, 3), PAPER, np.uint8)
    for i, image in enumerate(pixels):
        top, left = margin + i // columns * down, margin + i % columns * across
        sheet[top : top + factor * height, left : left + factor * width] = image
    return Image.fromarray(sheet)


def single(x: Tensor) -> Image.Image:
    """One image (C, H, W) in [-1, 1] at its own size, grey or colour."""
    pixels = to_uint8(x[None])[0]
    return Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)


def family(parents: Tensor, children: Tensor) -> Image.Image:
    """Two grids of images (N, C, H, W) in [-1, 1]: those who bred in a row, and below a gap their children."""
    above, below = grid(parents, columns=len(parents)), grid(children)
    sheet = Image.new("RGB", (max(above.width, below.width), above.height + GAP + below.height), PAPER)
    sheet.paste(above, ((sheet.width - above.width) // 2, 0))
    sheet.paste(below, ((sheet.width - below.width) // 2, above.height + GAP))
    return sheet


def reconstructions(originals: Tensor, reconstructed: Tensor, columns: int = 8) -> Image.Image:
    """Images (N, C, H, W) in [-1, 1] in rows of `columns`, under each row of originals what became of them."""
    pairs = zip(originals.split(columns), reconstructed.split(columns), strict=True)
    rows = [grid(torch.cat([blank_to(a, columns), blank_to(b, columns)]), columns) for a, b in pairs]
    sheet = Image.new("RGB", (rows[0].width, len(rows) * (rows[0].height + GAP) - GAP), PAPER)
    for i, row in enumerate(rows):
        sheet.paste(row, (0, i * (row.height + GAP)))
    return sheet


def blank_to(x: Tensor, count: int) -> Tensor:
    """Images, and as many white ones as make `count`."""
    return torch.cat([x, x.new_ones(count - len(x), *x.shape[1:])])


def side_by_side(fake: Tensor, real: Tensor) -> Image.Image:
    """Two grids: generated images on the left, real ones on the right."""
    return captioned({"generated": fake, "real": real})


def captioned(images: Mapping[str, Tensor]) -> Image.Image:
    """Grids of images (N, C, H, W) in [-1, 1] side by side, each under its caption."""
    grids = [grid(x) for x in images.values()]
    font = ImageFont.load_default(size=14)
    width = sum(image.width + GAP for image in grids) - GAP
    sheet = Image.new("RGB", (width, CAPTION + max(image.height for image in grids)), PAPER)
    draw, x = ImageDraw.Draw(sheet), 0
    for text, image in zip(images, grids, strict=True):
        draw.text((x + image.width / 2, CAPTION / 2 + 2), text, INK, font, anchor="mm")
        sheet.paste(image, (x, CAPTION))
        x += image.width + GAP
    return sheet


def sections(pictures: Mapping[str, Image.Image]) -> Image.Image:
    """Pictures beneath one another, each under its caption."""
    font = ImageFont.load_default(size=14)
    width, height = (max(p.width for p in pictures.values()), sum(CAPTION + p.height for p in pictures.values()))
    sheet = Image.new("RGB", (width, height), PAPER)
    draw, y = ImageDraw.Draw(sheet), 0
    for text, picture in pictures.items():
        draw.text((width / 2, y + CAPTION / 2 + 2), text, INK, font, anchor="mm")
        sheet.paste(picture, ((width - picture.width) // 2, y + CAPTION))
        y += CAPTION + picture.height
    return sheet


def labelled_rows(rows: Mapping[str, Tensor]) -> Image.Image:
    """Images (N, C, H, W) in [-1, 1] of equal N, one row each behind its name."""
    sheet = grid(torch.cat(list(rows.values())), columns=len(next(iter(rows.values()))))
    height = sheet.height / len(rows)
    font = ImageFont.load_default(size=max(12, height / 12))  # as large as the pictures need
    words = math.ceil(max(font.getlength(name) for name in rows)) + GAP
    labelled = Image.new("RGB", (words + sheet.width, sheet.height), PAPER)
    labelled.paste(sheet, (words, 0))
    draw = ImageDraw.Draw(labelled)
    for i, name in enumerate(rows):
        draw.text((words - GAP / 4, (i + 0.5) * height), name, INK, font, anchor="rm")
    return labelled


def left_side(sheet: Image.Image) -> Image.Image:
    """The left one of two equal grids that `side_by_side` put together, without its caption."""
    return sheet.crop((0, CAPTION, (sheet.width - GAP) // 2, sheet.height))


def scatter(fake: Tensor, real: Tensor | None = None) -> Image.Image:
    """Points (N, 2) in the units of their data, the generated ones over the real ones where those are given."""
    from matplotlib.figure import Figure  # here, since it is slow to import and images need none

    frame = (fake if real is None else real).detach().cpu().numpy()  # of the real, so that a run's pictures compare
    low, high = frame.min(0), frame.max(0)
    margin = 0.15 * float((high - low).max())
    width, height = high - low + 2 * margin
    figure = Figure(figsize=(6, min(12, max(3, 6 * float(height / width)))), dpi=100, layout="constrained")
    axes = figure.add_subplot(
        aspect="equal", xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin)
    )
    if real is not None:
        axes.scatter(*real.detach().cpu().numpy().T, s=22, c="#8d99ae", linewidths=0, label="real")
    axes.scatter(*fake.detach().cpu().numpy().T, s=6, c="#d1495b", linewidths=0, label="generated")
    if real is not None:
        axes.legend(loc="upper right", frameon=False, fontsize=9, markerscale=1.5)
    axes.tick_params(colors="#5a5a5a", labelsize=8)
    for side in axes.spines.values():
        side.set_color("#c9ced6")
    return rendered(figure)


def confusion(counts: Tensor, class_names: Sequence[str], title: str = "") -> Image.Image:
    """A confusion matrix: `counts` (true, taken for) of items, each row shaded by its shares and numbered in them."""
    from matplotlib.figure import Figure

    classes = len(class_names)
    shares = (counts / counts.sum(1, keepdim=True).clamp(min=1)).cpu().numpy()  # an absent class is a row of zeros
    side = min(10.0, 2 + 0.45 * classes)
    figure = Figure(figsize=(side, side), dpi=100, layout="constrained")
    axes = figure.add_subplot(xlabel="taken for (% of a row)", ylabel="is")
    axes.set_title(title, fontsize=10)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.tick_params(colors="#5a5a5a", labelsize=8, length=0)
    if classes <= NUMBERED:
        axes.set_xticks(range(classes), class_names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(classes), class_names)
        for true, taken in zip(*shares.nonzero(), strict=True):
            share = float(shares[true, taken])
            colour = "white" if share > 0.5 else "#30343b"
            axes.text(
                taken, true, f"{100 * share:.{int(share < 0.1)}f}", color=colour, fontsize=8, ha="center", va="center"
            )
    for edge in axes.spines.values():
        edge.set_color("#c9ced6")
    return rendered(figure)


def ranked(queries: Sequence[str], found: Tensor, right: Tensor) -> Image.Image:
    """A row a query: its words, then the images that it found, the best first, those that are right framed.

    found: (Q, K, C, H, W) in [-1, 1]. right: (Q, K) bool.
    """
    rows, columns = found.shape[:2]
    pixels = to_uint8(found.flatten(0, 1).expand(-1, 3, -1, -1))
    side = max(2 * FOUND // 3, min(FOUND, pixels.shape[1]))
    cell, words = side + 2 * FRAME, 3 * FOUND
    sheet = Image.new("RGB", (words + columns * cell, rows * cell), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for q, query in enumerate(queries):
        text = "\n".join(wrap(query, words // 6)[: cell // 15])
        draw.multiline_text((4, (q + 0.5) * cell), text, INK, font, anchor="lm")
        for k in range(columns):
            x, y = words + k * cell, q * cell
            if right[q, k]:
                draw.rectangle((x, y, x + cell - 1, y + cell - 1), outline=RIGHT, width=FRAME - 1)
            image = Image.fromarray(pixels[q * columns + k]).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(image, (x + FRAME, y + FRAME))
    return sheet


def rendered(figure: Figure) -> Image.Image:
    """The picture of a Matplotlib figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def fitted(image: Image.Image, longest: int) -> Image.Image:
    """An RGB copy whose longer side is at most `longest` pixels."""
    copy = image.convert("RGB")
    copy.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return copy


def encode_clip(frames: Sequence[Image.Image], fps: float) -> tuple[str, bytes]:
    """Frames of one size as a clip that repeats: (media type, bytes).

    H.264 in MP4 where the extra [video] is installed, else an animated WebP, which every browser shows as well.
    """
    if find_spec("imageio_ffmpeg"):
        return "video/mp4", encode_mp4(frames, fps)
    buffer = BytesIO()
    frames[0].save(
        buffer, "WEBP", save_all=True, append_images=frames[1:], duration=round(1000 / fps), loop=0, quality=75
    )
    return "image/webp", buffer.getvalue()


def need_ffmpeg() -> None:
    """Raise RequestError where the extra [video] is missing."""
    if not find_spec("imageio_ffmpeg"):
        raise RequestError("an MP4 needs imageio-ffmpeg; pip install 'ganvas[video]', or write a .webp or .gif")


def encode_mp4(frames: Iterable[Image.Image], fps: float) -> bytes:
    """Frames of one size as H.264 in MP4, of an even size, since browsers play 4:2:0 alone; encoded as they come.

    Raises RequestError where the extra [video] is missing, or where there is no frame.
    """
    need_ffmpeg()
    from imageio_ffmpeg import write_frames  # pyright: ignore[reportMissingImports]

    left = iter(frames)
    first = next(left, None)
    if first is None:
        raise RequestError("a film needs one frame or more; make it longer")
    size = (first.width // 2 * 2, first.height // 2 * 2)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
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
            for frame in chain([first], left):
                writer.send(frame.convert("RGB").crop((0, 0, *size)).tobytes())
        finally:
            writer.close()
        return path.read_bytes()


def save_png(image: Image.Image, path: Path, text: Mapping[str, str] | None = None) -> None:
    """Write a PNG atomically, with `text` in its metadata. Raises OSError where it cannot be written."""
    buffer, chunks = BytesIO(), PngInfo()
    for key, value in (text or {}).items():
        chunks.add_itxt(key, value)
    image.save(buffer, "PNG", pnginfo=chunks)
    files.write(path, buffer.getvalue())
