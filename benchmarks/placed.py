"""Pictures of one drawn shape, with captions: the training and test data of the networks that paint from words.

A combination of a colour, a shape and a place is either shown to a CLIP or painted, never both: no training picture
shows `HELD_OUT` of the 210. The judge has seen all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ganvas.data import Dataset
from ganvas.data.shapes import BACKGROUND, COLORS, KINDS, MARGIN, OUTLINES, REACH, SUPERSAMPLING

SIZE = 32  # pixels
RADII = {"small": (0.14, 0.16), "large": (0.23, 0.25)}  # shares of the side
PLACES = ("in the middle", "at the left", "at the right", "at the top", "at the bottom")
NEAR, FAR = 0.06, 0.1  # shares of the side: the middle is within the first, elsewhere is beyond the second
HELD_OUT = 50  # combinations of colour, shape and place
ODD = 0.25  # of the pictures that a CLIP learns from: shapes between two kinds
NOISY, NOISE = 0.5, 0.2  # of those pictures, with noise of a deviation up to this, where white is 1 and black -1
ANGLES = 64  # of an outline between two kinds
SAID = {"size": 0.35, "color": 0.8, "kind": 0.8, "place": 0.5}  # how often a caption names each


class Look(NamedTuple):
    """The attributes of a picture; a caption may leave any of them out, as ""."""

    size: str
    color: str
    kind: str
    place: str


def held_out() -> frozenset[tuple[str, str, str]]:
    """The combinations of colour, shape and place that are painted, and that no CLIP has seen."""
    every = list(product(COLORS, KINDS, PLACES))
    chosen = np.random.default_rng(0).permutation(len(every))[:HELD_OUT]
    return frozenset(every[i] for i in chosen)


def prompts(count: int) -> list[Look]:
    """`count` looks of the held-out combinations, each small and large."""
    combinations = sorted(held_out())
    order = np.random.default_rng(1).permutation(len(combinations))
    sizes = tuple(RADII)
    return [Look(sizes[i // len(order) % 2], *combinations[order[i % len(order)]]) for i in range(count)]


def caption(look: Look) -> str:
    """In words: `a large red star at the left`, or `something blue` without a shape."""
    words = " ".join(word for word in (look.size, look.color, look.kind) if word)
    article = "something" if not look.kind else "an" if words[0] in "aeiou" else "a"
    return " ".join(filter(None, (article, words, look.place)))


def draw_look(rng: np.random.Generator) -> Look:
    """Each word equally often."""
    return Look(
        str(rng.choice(list(RADII))), str(rng.choice(list(COLORS))), str(rng.choice(KINDS)), str(rng.choice(PLACES))
    )


def place_of(x: float, y: float) -> str:
    """The word for a centre, shares of the side from the top left corner: the nearest, so every centre has one."""
    dx, dy = x - 0.5, y - 0.5
    if max(abs(dx), abs(dy)) < (NEAR + FAR) / 2:
        return PLACES[0]
    if abs(dx) > abs(dy):
        return PLACES[1] if dx < 0 else PLACES[2]
    return PLACES[3] if dy < 0 else PLACES[4]


def centre(rng: np.random.Generator, radius: float, place: str) -> tuple[float, float]:
    """A centre at which the shape is within the picture and its place is clear."""
    low = REACH * radius + MARGIN
    while True:
        x, y = rng.uniform(low, 1 - low, size=2).tolist()
        dx, dy = abs(x - 0.5), abs(y - 0.5)
        clear = max(dx, dy) < NEAR or (max(dx, dy) > FAR and abs(dx - dy) > NEAR)
        if clear and place_of(x, y) == place:
            return x, y


def drawn(
    look: Look, x: float, y: float, radius: float, turn: float = 0.0, outline: np.ndarray | None = None
) -> np.ndarray:
    """The picture, (3, SIZE, SIZE) uint8, antialiased; `turn` is in radians, an `outline` (K, 2) for the kind's."""
    side = SIZE * SUPERSAMPLING
    canvas = Image.new("RGB", (side, side), BACKGROUND)
    cos, sin = math.cos(turn), math.sin(turn)
    outline = OUTLINES[look.kind] if outline is None else outline
    corners = (outline @ np.array([[cos, sin], [-sin, cos]]) * radius + (x, y)) * side
    ImageDraw.Draw(canvas).polygon(corners.ravel().tolist(), fill=COLORS[look.color])
    return np.asarray(canvas.reduce(SUPERSAMPLING)).transpose(2, 0, 1)


def between(a: str, b: str, share: float) -> np.ndarray:
    """An outline (K, 2) between those of two kinds: a shape without a name."""
    return share * _even(OUTLINES[a]) + (1 - share) * _even(OUTLINES[b])


def _even(outline: np.ndarray) -> np.ndarray:
    """The points (ANGLES, 2) of a closed outline at equal angles from its middle, from which all of it is visible."""
    ends = np.linspace(0, 1, 16, endpoint=False)[:, None]
    points = np.concatenate([a + ends * (b - a) for a, b in zip(outline, np.roll(outline, -1, 0), strict=True)])
    angles = np.linspace(-math.pi, math.pi, ANGLES, endpoint=False)
    radii = np.interp(angles, np.arctan2(points[:, 1], points[:, 0]), np.hypot(*points.T), period=2 * math.pi)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


def plain(rng: np.random.Generator, look: Look, outline: np.ndarray | None = None) -> np.ndarray:
    """The picture of a look."""
    radius = float(rng.uniform(*RADII[look.size]))
    return drawn(look, *centre(rng, radius, look.place), radius, outline=outline)


def plain_pictures(looks: list[Look], seed: int) -> Tensor:
    """One picture a look, (N, 3, SIZE, SIZE) in [-1, 1]."""
    rng = np.random.default_rng((seed, 2))
    return torch.from_numpy(np.stack([plain(rng, look) for look in looks])).float() / 127.5 - 1


def cropped(rng: np.random.Generator, look: Look, outline: np.ndarray | None = None) -> np.ndarray:
    """What a crop may show of it: another size, another place, rotated."""
    radius = float(rng.uniform(0.1, 0.45))
    x, y, turn = rng.uniform((0.15, 0.15, -math.pi / 6), (0.85, 0.85, math.pi / 6)).tolist()
    return drawn(look, x, y, radius, turn, outline)


def noisy(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """A picture, uint8, with Gaussian noise of a random deviation."""
    noise = rng.normal(0, 127.5 * rng.uniform(0, NOISE), picture.shape)
    return (picture + noise).round().clip(0, 255).astype(np.uint8)


def said(rng: np.random.Generator, look: Look, clear: bool) -> str:
    """A caption that names some of the look; without `clear` the colour and the shape at most."""
    described = Look(
        *(
            word if rng.random() < SAID[name] and (clear or name in ("color", "kind")) else ""
            for name, word in look._asdict().items()
        )
    )
    return caption(described) if any(described) else caption(Look("", look.color, look.kind, ""))


def pictures(count: int, seed: int, everything: bool = False) -> Dataset:
    """Plain pictures, each with its whole caption; of `everything`, or without the combinations that are painted.

    The class of a picture is its colour and shape.
    """
    rng, kept = np.random.default_rng((seed, 0)), frozenset() if everything else held_out()
    looks = [look for look in (draw_look(rng) for _ in range(2 * count)) if look[1:] not in kept][:count]
    names = tuple(f"{color} {kind}" for color, kind in product(COLORS, KINDS))
    return Dataset(
        name="placed",
        items=torch.from_numpy(np.stack([plain(rng, look) for look in looks])),
        labels=torch.tensor([names.index(f"{look.color} {look.kind}") for look in looks]),
        class_names=names,
        captions=tuple(caption(look) for look in looks),
    )


def pairs(count: int, seed: int) -> Dataset:
    """Pictures with captions that name some of their attributes; two fifths look like crops.

    A share of ODD has a shape without a name, and the caption names none: a network that has only seen named shapes
    takes similar forms for them, and a search finds such pictures first. A share of NOISY has noise, as crops have
    while painting.
    """
    rng, kept = np.random.default_rng((seed, 1)), held_out()
    looks = [look for look in (draw_look(rng) for _ in range(2 * count)) if look[1:] not in kept][:count]
    items, captions = [], []
    for look in looks:
        clear, outline, described = bool(rng.random() < 0.6), None, look
        if rng.random() < ODD:
            outline = between(look.kind, str(rng.choice([k for k in KINDS if k != look.kind])), rng.uniform(0.4, 0.6))
            described = look._replace(kind="")
        picture = plain(rng, look, outline) if clear else cropped(rng, look, outline)
        items.append(noisy(rng, picture) if rng.random() < NOISY else picture)
        captions.append(said(rng, described, clear))
    return Dataset(name="placed-pairs", items=torch.from_numpy(np.stack(items)), captions=tuple(captions))


def stored(folder: Path, make: Callable[[], Dataset]) -> Path:
    """The store in `folder`, written if absent."""
    return folder if (folder / "meta.json").is_file() else make().save(folder)


def ink(images: Tensor) -> Tensor:
    """Which pixels of images (N, 3, H, W) in [-1, 1] are not paper, (N, H, W) bool."""
    paper = torch.tensor(BACKGROUND).view(3, 1, 1) / 127.5 - 1
    return (images - paper).abs().amax(1) > 0.4


def place_seen(images: Tensor) -> list[tuple[float, float, float]]:
    """Where the ink of each image (N, 3, H, W) in [-1, 1] is: its centre (x, y), and its area, as shares."""
    covered = ink(images).float()
    mass = covered.sum((1, 2)).clamp(min=1e-6)
    across = (torch.arange(images.shape[3]) + 0.5) / images.shape[3]
    down = (torch.arange(images.shape[2]) + 0.5) / images.shape[2]
    x, y = (covered * across).sum((1, 2)) / mass, (covered * down[:, None]).sum((1, 2)) / mass
    return list(zip(x.tolist(), y.tolist(), covered.mean((1, 2)).tolist(), strict=True))
