"""Pictures for people: grids of images, charts, PNG files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from . import alpha, files
from .errors import RequestError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

READABLE = 48  # pixels: smaller images are enlarged to about this, by whole factors
LARGEST = 89_000_000  # pixels of a sheet: Pillow and others refuse larger files as an attack
PAPER = (255, 255, 255)
INK = (90, 90, 90)
CAPTION, GAP = 24, 16  # pixels above, and between, two grids side by side
FOUND, FRAME = 96, 4  # pixels: the largest side of a found image, and the frame around a right one
RIGHT = (46, 160, 67)
CHECKS = (204, 255)  # greys of the checkerboard that transparency is shown on
SQUARE = 6  # pixels of a side of its squares, on a sheet
NUMBERED = 20  # classes: larger confusion matrices have no room for numbers


def to_uint8(x: Tensor) -> NDArray[np.uint8]:
    """Images (N, C, H, W) in [-1, 1] -> (N, H, W, C) in 0..255, rounded and clamped; colour with alpha is straight."""
    x = x.detach().to("cpu", torch.float32).nan_to_num(0.0)
    pixels = x.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return alpha.straight(pixels) if pixels.shape[3] == alpha.CHANNELS else pixels


def on_checks(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Straight colour and alpha (H, W, 4) laid on a checkerboard, (H, W, 3)."""
    row, column = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    checks = np.choose((row // SQUARE + column // SQUARE) % 2, CHECKS)[..., None]
    share = pixels[..., 3:] / 255
    return (pixels[..., :3] * share + checks * (1 - share)).round().astype(np.uint8)


def on_white(image: Image.Image) -> Image.Image:
    """An RGB copy; transparency is laid on white."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, PAPER), image).convert("RGB")


def opaque(image: Image.Image) -> Image.Image:
    """An RGB copy; transparency is laid on a checkerboard."""
    return Image.fromarray(on_checks(np.asarray(image))) if image.mode == "RGBA" else image.convert("RGB")


class Sheet:
    """A grid of images on white, filled in parts; small images are enlarged to READABLE pixels.

    Transparency is shown on a checkerboard.
    """

    def __init__(self, count: int, height: int, width: int, columns: int | None = None) -> None:
        """By default it is nearly square. Raises RequestError where it is too large for a file."""
        self.factor = max(1, round(READABLE / max(height, width)))
        self.margin = max(2, self.factor * max(height, width) // 24)
        self.down, self.across = self.factor * height + self.margin, self.factor * width + self.margin  # to the next
        self.columns = columns or math.ceil(math.sqrt(count))
        rows = math.ceil(count / self.columns)
        size = (rows * self.down + self.margin, self.columns * self.across + self.margin)
        if size[0] * size[1] > LARGEST:
            fits = (math.isqrt(LARGEST) // max(self.down, self.across)) ** 2
            raise RequestError(
                f"a sheet of {count:,} pictures of {width}x{height} pixels is too large for a picture file",
                f"up to {fits:,} fit; write a directory or an .npz instead",
            )
        self.pixels = np.full((*size, 3), PAPER, np.uint8)
        self.filled = 0

    def add(self, x: Tensor) -> None:
        """Add images (N, C, H, W) in [-1, 1], row by row."""
        for image in to_uint8(x).repeat(self.factor, axis=1).repeat(self.factor, axis=2):
            row, column = divmod(self.filled, self.columns)
            top, left = self.margin + row * self.down, self.margin + column * self.across
            shown = on_checks(image) if image.shape[2] == alpha.CHANNELS else image
            self.pixels[top : top + image.shape[0], left : left + image.shape[1]] = shown  # grey fills all three
            self.filled += 1

    def image(self) -> Image.Image:
        """The sheet as it is now."""
        return Image.fromarray(self.pixels)


def grid(x: Tensor, columns: int | None = None) -> Image.Image:
    """A `Sheet` of the images (N, C, H, W) in [-1, 1]."""
    sheet = Sheet(len(x), x.shape[2], x.shape[3], columns)
    sheet.add(x)
    return sheet.image()


def single(x: Tensor) -> Image.Image:
    """One image (C, H, W) in [-1, 1] at its own size: grey, colour, or colour with alpha."""
    pixels = to_uint8(x[None])[0]
    return Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)


def stacked(pictures: Sequence[Image.Image], gap: int = GAP) -> Image.Image:
    """Pictures below one another, centred."""
    width, height = max(p.width for p in pictures), sum(p.height + gap for p in pictures) - gap
    sheet, y = Image.new("RGB", (width, height), PAPER), 0
    for picture in pictures:
        sheet.paste(picture, ((width - picture.width) // 2, y))
        y += picture.height + gap
    return sheet


def reconstructions(originals: Tensor, reconstructed: Tensor, columns: int = 8) -> Image.Image:
    """Images (N, C, H, W) in [-1, 1]: rows of `columns` originals, each with the row of their reconstructions below."""
    pairs = zip(originals.split(columns), reconstructed.split(columns), strict=True)
    return stacked([grid(torch.cat([blank_to(a, columns), blank_to(b, columns)]), columns) for a, b in pairs])


def blank_to(x: Tensor, count: int) -> Tensor:
    """Images followed by white ones, `count` in all."""
    return torch.cat([x, x.new_ones(count - len(x), *x.shape[1:])])


def side_by_side(fake: Tensor, real: Tensor) -> Image.Image:
    """Two grids: generated images on the left, real ones on the right."""
    return captioned({"generated": fake, "real": real})


def captioned(images: Mapping[str, Tensor]) -> Image.Image:
    """Grids of images (N, C, H, W) in [-1, 1], side by side, each under its caption."""
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
    """Pictures below one another, each under its caption."""
    font, width, parts = ImageFont.load_default(size=14), max(p.width for p in pictures.values()), []
    for text, picture in pictures.items():
        caption = Image.new("RGB", (width, CAPTION), PAPER)
        ImageDraw.Draw(caption).text((width / 2, CAPTION / 2 + 2), text, INK, font, anchor="mm")
        parts += [caption, picture]
    return stacked(parts, gap=0)


def labelled_rows(rows: Mapping[str, Tensor]) -> Image.Image:
    """Images (N, C, H, W) in [-1, 1] of equal N, one row each after its name."""
    sheet = grid(torch.cat(list(rows.values())), columns=len(next(iter(rows.values()))))
    height = sheet.height / len(rows)
    font = ImageFont.load_default(size=max(12, height / 12))
    words = math.ceil(max(font.getlength(name) for name in rows)) + GAP
    labelled = Image.new("RGB", (words + sheet.width, sheet.height), PAPER)
    labelled.paste(sheet, (words, 0))
    draw = ImageDraw.Draw(labelled)
    for i, name in enumerate(rows):
        draw.text((words - GAP / 4, (i + 0.5) * height), name, INK, font, anchor="rm")
    return labelled


def left_side(sheet: Image.Image) -> Image.Image:
    """The left grid of a `side_by_side` of equal grids, without its caption."""
    return sheet.crop((0, CAPTION, (sheet.width - GAP) // 2, sheet.height))


def scatter(fake: Tensor, real: Tensor | None = None) -> Image.Image:
    """Points (N, 2) in the units of their data, the generated ones over the real ones."""
    from matplotlib.figure import Figure  # slow to import

    frame = (fake if real is None else real).detach().cpu().numpy()  # the same for all pictures of a run
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
    """A confusion matrix: `counts` (true, taken for) of items, as shares of each row."""
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
    """A row a query: its words, then the found images, the best first, with a frame around right ones.

    found: (Q, K, C, H, W) in [-1, 1]. right: (Q, K) bool.
    """
    rows, columns = found.shape[:2]
    pixels = to_uint8(found.flatten(0, 1).expand(-1, max(3, found.shape[2]), -1, -1))
    longest = max(pixels.shape[1:3])
    side = max(2 * FOUND // 3, min(FOUND, longest))
    cell, words = side + 2 * FRAME, 3 * FOUND
    width, height = (max(1, round(n * side / longest)) for n in (pixels.shape[2], pixels.shape[1]))
    sheet = Image.new("RGB", (words + columns * cell, rows * cell), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for q, query in enumerate(queries):
        text = "\n".join(wrap(query, words // 6)[: cell // 15])
        draw.multiline_text((4, (q + 0.5) * cell), text, INK, font, anchor="lm")
        for k in range(columns):
            x, y = words + k * cell, q * cell
            if right[q, k]:
                draw.rectangle((x, y, x + cell - 1, y + cell - 1), outline=RIGHT, width=FRAME - 1)
            image = Image.fromarray(pixels[q * columns + k]).resize((width, height), Image.Resampling.BICUBIC)
            sheet.paste(opaque(image), (x + (cell - width) // 2, y + (cell - height) // 2))
    return sheet


def rendered(figure: Figure) -> Image.Image:
    """The picture of a Matplotlib figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def fitted(image: Image.Image, longest: int) -> Image.Image:
    """An RGB copy whose longer side is at most `longest` pixels."""
    copy = opaque(image)
    copy.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return copy


def save_png(image: Image.Image, path: Path, text: Mapping[str, str] | None = None, *, flush: bool = True) -> None:
    """Write a PNG atomically, with `text` in its metadata. Raises OSError where it cannot be written."""
    files.write(path, encode_png(image, text), flush=flush)


def enlarged(image: Image.Image, least: int) -> Image.Image:
    """A small image by a whole factor, so that it stays crisp and is about `least` pixels wide or high."""
    factor = max(1, round(least / max(image.size)))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def encode_png(image: Image.Image, text: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a PNG, with `text` in its metadata."""
    buffer, chunks = BytesIO(), PngInfo()
    for key, value in (text or {}).items():
        chunks.add_itxt(key, value)
    image.save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()
