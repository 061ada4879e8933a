"""Drawn scenes of one to three flat shapes, with a caption and an exact table of attributes.

The class of a scene is the shape that its caption names first. Positions and radii are fractions of the image's short
side, from the top left corner: in an image of 64×32 pixels x runs from 0 to 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..progress import Steps, counted
from ..sizes import Size
from .dataset import Dataset, Origin
from .options import Options
from .rows import gathering
from .store import cached

SCENES = 10_000
SIZE = 32  # pixels, by default
VERSION = 1  # of the drawing, raised when pixels or captions change, since scenes are cached

COLORS = {
    "red": (220, 50, 47),
    "orange": (245, 130, 32),
    "yellow": (250, 205, 40),
    "green": (60, 160, 75),
    "blue": (45, 100, 215),
    "purple": (140, 70, 175),
    "black": (45, 45, 50),
}
RADII = {"small": (0.09, 0.11), "medium": (0.135, 0.155), "large": (0.18, 0.2)}  # captions omit "medium"
RELATIONS = ("left of", "right of", "above", "below")
BACKGROUND = (246, 244, 238)
MARGIN = 0.03  # between two shapes, and between a shape and the border
CLEAR = 0.1  # by how much the distances along the two axes differ, so that a relation is clear
REACH = 1.15  # of the farthest corner of an outline, in radii
TRIES = 32  # placements tried at a time
SUPERSAMPLING = 4
MAX_OBJECTS = 3


def _polar(radii: Sequence[float], turn: float = 0.0) -> np.ndarray:
    """The closed outline (K, 2) with these radii at equal angles, the first pointing up, then turned (radians)."""
    angle = 2 * math.pi * np.arange(len(radii)) / len(radii) + turn
    return np.array(radii)[:, None] * np.stack([np.sin(angle), -np.cos(angle)], axis=1)


def _heart() -> np.ndarray:
    t = 2 * math.pi * np.arange(64) / 64
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -2.5 - y], axis=1) / 16


def _cross() -> np.ndarray:
    arm, reach = 0.34, 0.95
    quarter = np.array([(-arm, -reach), (arm, -reach), (arm, -arm)])
    turns = [np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]]) for a in np.arange(4) * math.pi / 2]
    return np.concatenate([quarter @ turn for turn in turns])


# (K, 2) each, around the origin and within REACH, y downwards; the areas are similar.
OUTLINES = {
    "circle": _polar([0.92] * 64),
    "square": _polar([1.15] * 4, turn=math.pi / 4),
    "triangle": _polar([1.15] * 3),
    "star": _polar([1.15, 0.5] * 5),
    "cross": _cross(),
    "heart": _heart(),
}
KINDS = tuple(OUTLINES)
VALUES = {"shape": KINDS, "color": tuple(COLORS), "size": tuple(RADII)}  # the names of the numbers in the table


class Shape(NamedTuple):
    """One object of a scene; x, y and radius are fractions of the image's short side."""

    kind: str
    color: str
    size: str
    x: float
    y: float
    radius: float


Scene = tuple[Shape, ...]
Frame = tuple[float, float]  # the width and the height of an image, in short sides
SQUARE: Frame = (1.0, 1.0)


def relation(a: Shape, b: Shape) -> str:
    """Where `a` is from `b`, along the axis on which they are farther apart."""
    dx, dy = a.x - b.x, a.y - b.y
    if abs(dx) > abs(dy):
        return "left of" if dx < 0 else "right of"
    return "above" if dy < 0 else "below"


def scene(rng: np.random.Generator, most: int = MAX_OBJECTS, frame: Frame = SQUARE) -> Scene:
    """One to `most` shapes that do not touch, with clear relations and no two of the same kind and colour."""
    count = int(rng.integers(1, most + 1))
    looks = rng.choice(len(KINDS) * len(COLORS), size=count, replace=False)
    sizes, radii, xy = _place(rng, count, frame)
    return tuple(
        Shape(KINDS[look % len(KINDS)], tuple(COLORS)[look // len(KINDS)], tuple(RADII)[size], x, y, radius)
        for look, size, (x, y), radius in zip(looks, sizes, xy.tolist(), radii.tolist(), strict=True)
    )


def _place(rng: np.random.Generator, count: int, frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes (count,), radii (count,) and centres (count, 2) that fit: the first of as many tries as it takes.

    Shapes do not touch, and the first is clearly on one side of each of the others. Each try draws new sizes too,
    since three large shapes hardly ever fit.
    """
    low, high = np.array(list(RADII.values())).T
    pairs = np.triu_indices(count, 1)
    while True:
        sizes = rng.integers(len(RADII), size=(TRIES, count))
        radii = rng.uniform(low[sizes], high[sizes])
        reach = REACH * radii
        low_xy, high_xy = reach[..., None] + MARGIN, np.array(frame) - reach[..., None] - MARGIN
        xy = rng.uniform(low_xy, high_xy, size=(TRIES, count, 2))
        apart = abs(xy[:, 1:] - xy[:, :1])
        clear = abs(apart[..., 0] - apart[..., 1]) > CLEAR
        gaps = np.linalg.norm(xy[:, pairs[0]] - xy[:, pairs[1]], axis=-1) - reach[:, pairs[0]] - reach[:, pairs[1]]
        fits = clear.all(axis=1) & (gaps > MARGIN).all(axis=1)
        if fits.any():
            best = fits.argmax()
            return sizes[best], radii[best], xy[best]


def describe(shapes: Sequence[Shape]) -> str:
    """The caption: the first shape, and where it is from each of the others."""
    first, *others = shapes
    return _phrase(first) + " and".join(f" {relation(first, other)} {_phrase(other)}" for other in others)


def _phrase(shape: Shape) -> str:
    words = f"{shape.color} {shape.kind}" if shape.size == "medium" else f"{shape.size} {shape.color} {shape.kind}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def draw(shapes: Sequence[Shape], size: int | Size) -> np.ndarray:
    """The picture, (3, height, width) uint8, antialiased; an int is a square."""
    width, height = (size, size) if isinstance(size, int) else size
    side = min(width, height) * SUPERSAMPLING
    canvas = Image.new("RGB", (width * SUPERSAMPLING, height * SUPERSAMPLING), BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    for shape in shapes:
        outline = (OUTLINES[shape.kind] * shape.radius + (shape.x, shape.y)) * side
        pen.polygon(outline.ravel().tolist(), fill=COLORS[shape.color])
    return np.asarray(canvas.reduce(SUPERSAMPLING)).transpose(2, 0, 1)


def tabulate(scenes: Sequence[Scene]) -> dict[str, Tensor]:
    """The attributes of N scenes. `count` (N,); for each object, in the caption's order and -1 if there is none:
    `shape` (in KINDS), `color` (in COLORS), `size` (in RADII) and `x`, `y`, `radius`, all (N, 3); and `relation`
    (N, 2), in RELATIONS, of the first object to the second and to the third.
    """
    colors, sizes = tuple(COLORS), tuple(RADII)
    indices = torch.full((4, len(scenes), MAX_OBJECTS), -1)
    places = torch.full((3, len(scenes), MAX_OBJECTS), -1.0)
    for n, shapes in enumerate(scenes):
        for k, it in enumerate(shapes):
            indices[:3, n, k] = torch.tensor([KINDS.index(it.kind), colors.index(it.color), sizes.index(it.size)])
            places[:, n, k] = torch.tensor([it.x, it.y, it.radius])
            if k:
                indices[3, n, k - 1] = RELATIONS.index(relation(shapes[0], it))
    return {
        "count": torch.tensor([len(shapes) for shapes in scenes]),
        **dict(zip(("shape", "color", "size"), indices, strict=False)),
        "relation": indices[3, :, : MAX_OBJECTS - 1].contiguous(),
        **dict(zip(("x", "y", "radius"), places, strict=True)),
    }


def centred(shapes: Scene, frame: Frame) -> Scene:
    """Each shape twice as large, in the middle."""
    return tuple(shape._replace(x=frame[0] / 2, y=frame[1] / 2, radius=2 * shape.radius) for shape in shapes)


def placed(shapes: Scene, frame: Frame) -> Scene:
    """The scene as it is."""
    return shapes


def read_scenes(
    name: str, options: Options, most: int = MAX_OBJECTS, arrange: Callable[[Scene, Frame], Scene] = placed
) -> Steps[Dataset]:
    """SCENES scenes of up to `most` shapes, a function of seed, split and size; drawn once, then cached."""
    size = options.size or Size(SIZE, SIZE)
    frame = size.width / size.short, size.height / size.short

    def build() -> Steps[Dataset]:
        rng = np.random.default_rng((options.seed, options.split == "test"))
        scenes = yield from counted(
            (arrange(scene(rng, most, frame), frame) for _ in range(SCENES)), "placing shapes", SCENES
        )
        drawn = (draw(shapes, size)[None] for shapes in scenes)
        items = torch.from_numpy((yield from gathering(drawn, (3, size.height, size.width), "drawing shapes", SCENES)))
        labels = torch.tensor([KINDS.index(shapes[0].kind) for shapes in scenes])
        captions = tuple(describe(shapes) for shapes in scenes)
        return Dataset(name, items, labels, KINDS, captions, tabulate(scenes), origin=Origin("drawn"))

    pixels = size.width if frame == SQUARE else size
    return cached(f"{name}-{VERSION}-{options.split}-{options.seed}-{pixels}", build())
