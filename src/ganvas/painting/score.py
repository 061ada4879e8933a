"""What is asked for, in words and pictures, and how well images suit it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import RequestError, unknown

ALPHA, BETA = 1.0, 0.5  # of what is included, and of what is excluded


class ImageTextModel(Protocol):
    """A pair of towers: `frozen.Clip` is one."""

    @property
    def size(self) -> int:
        """Pixels of a side of what the image tower sees."""
        ...

    @property
    def device(self) -> torch.device: ...

    def image(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] -> unit vectors (N, dim); differentiable."""
        ...

    def text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> unit vectors (N, dim)."""
        ...


class Prompt(NamedTuple):
    """Words, or a picture in their stead, and how much they count."""

    words: str
    weight: float = 1.0
    picture: Tensor | None = None  # (C, H, W) in [-1, 1]; `words` then names it

    def __str__(self) -> str:
        return self.words if self.weight == 1 else f"{self.words}::{self.weight:g}"


@dataclass(frozen=True)
class Prompts:
    """What a painting is to show, what it is not to show, and what is to be about it."""

    include: tuple[Prompt, ...]
    exclude: tuple[Prompt, ...] = ()
    extras: tuple[Prompt, ...] = ()
    alpha: float = field(default=ALPHA, kw_only=True)
    beta: float = field(default=BETA, kw_only=True)

    @classmethod
    def of(cls, include: Sequence[str], exclude: Sequence[str] = (), extras: Sequence[str] = ()) -> Prompts:
        """From words, each with its weight behind `::` where it has one."""
        return cls(*(tuple(map(parse_prompt, words)) for words in (include, exclude, extras)))


def parse_prompt(text: str) -> Prompt:
    """'a red circle::0.5' -> the words and their weight, by default 1. Raises RequestError where it says nothing."""
    words, colons, weight = text.rpartition("::")
    if not colons:
        words, weight = text, "1"
    try:
        value = float(weight)
    except ValueError:
        raise RequestError(f"prompt {text!r}: {weight!r} is no weight; write such as 'a red circle::0.5'") from None
    if not words.strip():
        raise RequestError(f"prompt {text!r} says nothing; write such as 'a red circle'")
    if not math.isfinite(value) or value <= 0:
        raise RequestError(f"prompt {text!r}: a weight is above 0; what is not wanted belongs to --exclude")
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

    loss: Tensor  # α·distance to what is wanted - β·distance to what is not
    score: Tensor  # α·cos - β·cos, whatever the distance


def encode(clip: ImageTextModel, prompts: Sequence[Prompt]) -> Tensor:
    """The embeddings of prompts times their weights, (N, dim) on the device of the towers."""
    with torch.no_grad():
        each = [
            clip.text([prompt.words])[0]
            if prompt.picture is None
            else clip.image(prompt.picture[None].to(clip.device))[0]
            for prompt in prompts
        ]
    return torch.stack([prompt.weight * vector for prompt, vector in zip(prompts, each, strict=True)])


def clip_score(clip: ImageTextModel, prompts: Prompts, distance: str = "cosine") -> Callable[[Tensor], Score]:
    """How well images suit prompts: (N, C, H, W) in [-1, 1] -> `Score`; differentiable.

    What is wanted is one direction, w₁·include + w₂·extras brought to length one, and what is not wanted another; the
    loss is -α·cos(include) + β·cos(exclude), but for a constant (source 002, chapter 3), or the same of `spherical`
    distances. Raises RequestError where nothing is wanted, or for an unknown distance.
    """
    if distance not in DISTANCES:
        raise unknown("distance", distance, DISTANCES)
    if not prompts.include:
        raise RequestError("there is nothing to paint; give words, such as 'a red circle'")
    between = DISTANCES[distance]
    wanted = F.normalize(encode(clip, (*prompts.include, *prompts.extras)).sum(0), dim=0)
    unwanted = F.normalize(encode(clip, prompts.exclude).sum(0), dim=0) if prompts.exclude else None

    def judge(images: Tensor) -> Score:
        seen = clip.image(images)
        loss, score = prompts.alpha * between(seen, wanted), prompts.alpha * seen @ wanted
        if unwanted is not None:
            loss, score = loss - prompts.beta * between(seen, unwanted), score - prompts.beta * seen @ unwanted
        return Score(loss, score.detach())

    return judge
