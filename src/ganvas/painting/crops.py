"""What CLIP sees of a painting: many crops, each mirrored, turned, moved and resized at random.

A network that sees one view of a picture can be satisfied by noise. Seen in thirty views at once, new ones at every
step, the picture itself has to suit the words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .. import alpha
from ..errors import RequestError

# The side of a crop, in heights of the picture (course material, chapter 3).
MEAN, DEVIATION, LEAST, MOST = 1.2, 0.3, 0.43, 1.9


@dataclass(frozen=True)
class Crops:
    """How a painting is cropped (course material, chapter 3), and how many times a step.

    The picture is padded by `padding` of its height on every side, mirrored with the probability `flip`, turned by up
    to `degrees` and moved by up to `shift` of its sides. A crop is then a square anywhere inside, its side 1.2 ± 0.3
    heights, within 0.43 and 1.9. The course material mirrors and turns once a step; here each crop has its own draw,
    at no cost, since all of it is one affine map and one bilinear resampling.

    A share of `whole` of the crops shows the entire picture instead, without noise, for prompts about place and size:
    a square around it, of its long side. `fill` is what is beyond the border: its own pixels repeated, or grey.

    Each other crop gets Gaussian noise of the deviation `noise` times `layers` uniform numbers in [0, 1], so that most
    have little noise and a few have much; 0 layers: `noise` itself.
    """

    count: int = 30
    padding: float = 0.5
    flip: float = 0.5
    degrees: float = 30.0
    shift: float = 0.1
    whole: float = 0.0
    fill: Literal["border", "zeros"] = "border"
    noise: float = 0.22
    layers: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise RequestError(f"{self.count} is too few", "give 1 or more, such as 30", field="crops")
        if not 0 <= self.whole <= 1:
            raise RequestError(f"{self.whole:g} is not a share", "give 0 to 1, such as 0.25", field="whole")


class CropPlan(NamedTuple):
    """The crops of a step, before they are cut."""

    maps: Tensor  # (N, 2, 3): from the pixels of a crop to those of the picture, both from -1 to 1 across
    deviations: Tensor  # (N,) of each crop's noise
    seeds: Tensor  # (N,) int64 of each crop's noise, so that it depends neither on the device nor on the other crops


def draw(crops: Crops, height: int, width: int, seed: int, step: int) -> CropPlan:
    """The crops of a picture of height × width, a function of (seed, step)."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
    n = crops.count
    u = torch.rand(5, n, generator=generator)
    side = (MEAN + DEVIATION * torch.randn(n, generator=generator)).clamp(LEAST, MOST) * height
    pad = crops.padding * height
    tall, wide = height + 2 * pad, width + 2 * pad
    side = side.clamp(max=min(tall, wide))
    # The square's centre, in pixels from the centre of the padded picture.
    x, y = (u[0] - 0.5) * (wide - side), (u[1] - 0.5) * (tall - side)
    angle = (2 * u[2] - 1) * math.radians(crops.degrees)
    right, down = (2 * u[3] - 1) * crops.shift * width, (2 * u[4] - 1) * crops.shift * height
    mirror = torch.where(torch.rand(n, generator=generator) < crops.flip, -1.0, 1.0)
    deviations = crops.noise * torch.rand(crops.layers, n, generator=generator).prod(0)
    cos, sin = angle.cos(), angle.sin()
    # A pixel (u, v) of the crop is side/2·(u, v) + (x, y) in the padded picture; undo the move, the turn, the mirror.
    x, y = x - right, y - down
    half = side / 2
    maps = torch.stack(
        [
            torch.stack([mirror * cos * half, mirror * sin * half, mirror * (cos * x + sin * y)], 1) / (width / 2),
            torch.stack([-sin * half, cos * half, -sin * x + cos * y], 1) / (height / 2),
        ],
        1,
    )
    whole, most = round(crops.whole * n), max(height, width)
    deviations[:whole] = 0
    maps[:whole] = torch.tensor([[most / width, 0.0, 0.0], [0.0, most / height, 0.0]])
    return CropPlan(maps, deviations, torch.randint(2**62, (n,), generator=generator))


def cut(x: Tensor, maps: Tensor, size: int, fill: str = "border") -> Tensor:
    """The crops of one picture: x (1, C, H, W), maps (N, 2, 3) -> (N, C, size, size), bilinear; differentiable in x."""
    n, c = len(maps), x.shape[1]
    places = F.affine_grid(maps.to(x), [n, c, size, size], align_corners=False)
    return F.grid_sample(x.expand(n, -1, -1, -1), places, "bilinear", fill, align_corners=False)


def surrounded(x: Tensor) -> Tensor:
    """Pictures (N, C, H, W) in the middle of squares, their border repeated, as `whole` shows them."""
    across, down = (max(x.shape[2:]) - side for side in (x.shape[3], x.shape[2]))
    return F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2), "replicate")


def on_colours(x: Tensor, seeds: Tensor) -> Tensor:
    """Crops (N, 4, H, W), each laid on a random colour of its seed, so that what is seen is not its background's doing.

    Crops without alpha stay as they are.
    """
    if not alpha.has_alpha(x.shape):
        return x
    colours = [
        2 * torch.rand(3, 1, 1, generator=torch.Generator().manual_seed(seed + 1)) - 1 for seed in seeds.tolist()
    ]
    return alpha.composite(x, torch.stack(colours).to(x))


def add_noise(x: Tensor, deviations: Tensor, seeds: Tensor) -> Tensor:
    """Crops (N, C, H, W) plus Gaussian noise of these deviations (N,), drawn on the CPU from these seeds (N,)."""
    noise = [torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds.tolist()]
    return x + deviations.to(x)[:, None, None, None] * torch.stack(noise).to(x)
