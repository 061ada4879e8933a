"""Prompts, in words and pictures, and how well images suit them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import RequestError, unknown

ALPHA, BETA = 1.0, 0.5  # weights of what is included, and of what is excluded


class ImageTextModel(Protocol):
    """A pair of towers: `frozen.Clip` is one. `size` is the side of the images that the tower gets, in pixels.

    `image`: images (N, C, H, W) in [-1, 1] -> unit vectors (N, dim), differentiable; `text`: texts -> the same.
    """

    @property
    def size(self) -> int: ...
    @property
    def device(self) -> torch.device: ...
    def image(self, x: Tensor) -> Tensor: ...
    def text(self, texts: Sequence[str]) -> Tensor: ...


class Prompt(NamedTuple):
    """Words or a picture, and their weight."""

    words: str
    weight: float = 1.0
    picture: Tensor | None = None  # (C, H, W) in [-1, 1]; `words` then names it


@dataclass(frozen=True)
class Prompts:
    """What a painting shall show, shall not show, and shall show in addition."""

    include: tuple[Prompt, ...]
    exclude: tuple[Prompt, ...] = ()
    extras: tuple[Prompt, ...] = ()
    alpha: float = field(default=ALPHA, kw_only=True)
    beta: float = field(default=BETA, kw_only=True)

    @classmethod
    def of(cls, include: Sequence[str], exclude: Sequence[str] = (), extras: Sequence[str] = ()) -> Prompts:
        """From words, each followed by `::` and its weight where it has one."""
        return cls(*(tuple(map(parse_prompt, words)) for words in (include, exclude, extras)))


def parse_prompt(text: str, field: str = "words") -> Prompt:
    """'a red circle::0.5' -> the words and their weight, by default 1. Errors name `field`."""
    words, colons, weight = text.rpartition("::")
    if not colons:
        words, weight = text, "1"
    try:
        value = float(weight)
    except ValueError:
        raise RequestError(f"{weight!r} is not a weight", "write such as 'a red circle::0.5'", field=field) from None
    if not words.strip():
        raise RequestError(f"{text!r} has no words", "write such as 'a red circle'", field=field)
    if not math.isfinite(value) or value <= 0:
        raise RequestError(f"the weight {weight} of {text!r} is not above 0", "raise it, or use `exclude`", field=field)
    return Prompt(words.strip(), value)


def cosine(x: Tensor, y: Tensor) -> Tensor:
    """1 - cos of the angle between unit vectors: x (N, D), y (D,) -> (N,)."""
    return 1 - x @ y


def spherical(x: Tensor, y: Tensor) -> Tensor:
    """2 arcsin(‖x - y‖ / 2)², half the square of the angle between unit vectors: its gradient fades as they meet."""
    half = (0.5 * (1 - x @ y)).clamp(min=1e-12).sqrt()  # ‖x - y‖ / 2
    return 2 * torch.asin(half.clamp(max=1 - 1e-6)).square()


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"cosine": cosine, "spherical": spherical}


class Score(NamedTuple):
    """Of N images, (N,) each."""

    loss: Tensor  # α·distance to what is included - β·distance to what is excluded
    score: Tensor  # α·cos - β·cos, for either distance


def encode(clip: ImageTextModel, prompts: Sequence[Prompt]) -> Tensor:
    """The embeddings of prompts times their weights, (N, dim) on the device of the towers."""
    rows = []
    with torch.no_grad():
        for words, weight, picture in prompts:
            row = clip.text([words]) if picture is None else clip.image(picture[None].to(clip.device))
            rows.append(weight * row[0])
    return torch.stack(rows)


def clip_score(clip: ImageTextModel, prompts: Prompts, distance: str = "cosine") -> Callable[[Tensor], Score]:
    """How well images suit prompts: (N, C, H, W) in [-1, 1] -> `Score`; differentiable.

    What is wanted is one direction, w₁·include + w₂·extras of length one, and what is unwanted another; the loss is
    -α·cos(include) + β·cos(exclude), up to a constant (course material, chapter 3), or the same with `spherical`
    distances. Raises RequestError where nothing is wanted, or for an unknown distance.
    """
    if distance not in DISTANCES:
        raise unknown("distance", distance, DISTANCES, field="distance")
    if not prompts.include:
        raise RequestError("there is nothing to paint", "give words, such as 'a red circle'", field="words")
    between = DISTANCES[distance]
    wanted = F.normalize(encode(clip, (*prompts.include, *prompts.extras)).sum(0), dim=0)
    unwanted = F.normalize(encode(clip, prompts.exclude).sum(0), dim=0) if prompts.exclude else None

    def score(images: Tensor) -> Score:
        x = clip.image(images)
        loss, score = prompts.alpha * between(x, wanted), prompts.alpha * x @ wanted
        if unwanted is not None:
            loss, score = loss - prompts.beta * between(x, unwanted), score - prompts.beta * x @ unwanted
        return Score(loss, score.detach())

    return score
