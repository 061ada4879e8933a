"""What people look at: grids of images, generated beside real ones, point clouds, PNG files."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from . import files

READABLE = 48  # pixels: smaller images are enlarged to about this, by whole factors, so that they stay crisp
PAPER = (255, 255, 255)
INK = (90, 90, 90)


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


def side_by_side(fake: Tensor, real: Tensor) -> Image.Image:
    """Two grids, each under a thin caption: generated images on the left, real ones on the right."""
    left, right = grid(fake), grid(real)
    font = ImageFont.load_default(size=14)
    caption, gap = 24, 16
    sheet = Image.new("RGB", (left.width + gap + right.width, caption + max(left.height, right.height)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for text, image, x in (("generated", left, 0), ("real", right, left.width + gap)):
        draw.text((x + image.width / 2, caption / 2 + 2), text, INK, font, anchor="mm")
        sheet.paste(image, (x, caption))
    return sheet


def scatter(fake: Tensor, real: Tensor | None = None) -> Image.Image:
    """Points (N, 2) in the units of their data, the generated ones over the real ones where those are given."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here, since it is slow to import and images need none
    from matplotlib.figure import Figure

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
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG atomically. Raises OSError where it cannot be written."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    files.write(path, buffer.getvalue())
