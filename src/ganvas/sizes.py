"""Sizes of pictures: as people write them, and those that networks can draw."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

MAX_SIDE = 4096
MOST_HALVINGS = 6
NEARLY_ALL, ALIKE = 0.9, 0.02  # pictures, and the logarithm of a ratio of proportions
BASES = range(3, 8)  # pixels of the short side of a network's coarsest level


class Size(NamedTuple):
    """Pixels of a picture, written WIDTHxHEIGHT as cameras and files have it. Tensors have (height, width)."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def short(self) -> int:
        """Its shorter side."""
        return min(self)


def parse_size(value: object) -> Size | None:
    """A size from 64, "64", "96x128" (width×height) or (96, 128); None for "auto", "" and 0. ValueError for others."""
    if value in (None, 0, "", "0", "auto"):
        return None
    if isinstance(value, tuple | list) and len(value) == 2:
        value = f"{value[0]}x{value[1]}"
    found = re.fullmatch(r"(\d+)(?:[x×](\d+))?", str(value).strip().lower())
    if not found or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a size: write 64, or 96x128 for width x height")
    size = Size(int(found[1]), int(found[2] or found[1]))
    if not all(1 <= side <= MAX_SIDE for side in size):
        raise ValueError(f"{value} is out of range: a side has 1 to {MAX_SIDE} pixels")
    return size


def base_of(height: int, width: int) -> tuple[tuple[int, int], int] | None:
    """The (height, width) of a network's coarsest level and its doublings up to the picture; None if none fits.

    Both sides are halved as often as both stay whole and the short one has 3 pixels or more: 64 is 4·2⁴, 28 is 7·2²,
    96×128 is 3×4·2⁵. The short side of the coarsest level has 3 to 7 pixels, and the long one at most four times that.
    """
    short = min(height, width)
    doublings = 0
    while doublings < MOST_HALVINGS and short >> (doublings + 1) >= BASES.start:
        if (height | width) & ((2 << doublings) - 1):
            break
        doublings += 1
    base = height >> doublings, width >> doublings
    fits = doublings > 0 and min(base) in BASES and max(base) <= 4 * min(base)
    return (base, doublings) if fits else None


@cache
def drawable() -> tuple[Size, ...]:
    """Every size that `base_of` accepts with a side of at most MAX_SIDE, the smallest area first."""

    def each() -> Iterator[Size]:
        for doublings in range(1, MOST_HALVINGS + 1):
            for short in BASES:
                for long in range(short, 4 * short + 1):
                    a, b = short << doublings, long << doublings
                    yield from (Size(a, b), Size(b, a))

    found = {size for size in each() if base_of(size.height, size.width)}
    return tuple(sorted(found, key=lambda size: (math.prod(size), size)))


def nearest(size: Size, count: int = 2) -> list[Size]:
    """The drawable sizes nearest to a size, in the logarithms of their sides; squares for a square."""
    square = size.width == size.height
    candidates = (it for it in drawable() if not square or it.width == it.height)
    return sorted(candidates, key=lambda it: sum(abs(math.log(a / b)) for a, b in zip(it, size, strict=True)))[:count]


def share_shape(forms: Sequence[tuple[int, int]], common: tuple[int, int]) -> bool:
    """Whether nearly all of these (width, height) have the proportions of `common`."""
    alike = sum(abs(math.log(w / h * common[1] / common[0])) < ALIKE for w, h in forms)
    return alike >= NEARLY_ALL * len(forms)


def keeping_shape(size: Size, side: int) -> Size:
    """The drawable size for pictures of one shape: of nearly their proportions, and an area near side × side."""

    def cost(it: Size) -> float:
        stretch = abs(math.log(it.width / it.height * size.height / size.width))
        return 20 * stretch + abs(math.log(math.prod(it) / side**2)) / 2

    fitting = [it for it in drawable() if it.width <= size.width and it.height <= size.height]
    return min(fitting or drawable()[:1], key=cost)
