"""Walks: from keyframe to keyframe through latent space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..errors import RequestError, unknown
from ..types import Decoder
from .interpolation import EASINGS, INTERPOLATIONS

MOST = 100_000  # frames of a segment, whose latents are all in memory: more than an hour of film


def path(
    keyframes: Tensor,
    seconds: float | Sequence[float] = 2.0,
    fps: float = 25.0,
    *,
    easing: str = "linear",
    interpolation: str = "slerp",
    loop: bool = True,
) -> Tensor:
    """The latents of all frames, (F, ...), of a walk through `keyframes` (K, ...).

    seconds: of every segment, or one number for each: K of a loop, which ends one step before its first keyframe, and
        K - 1 of an open walk. A segment has exactly round(seconds · fps) frames.
    easing: of EASINGS. interpolation: of INTERPOLATIONS, slerp for Gaussian latents.

    A segment begins at its keyframe and ends one step before the next; the last one of an open walk ends at its
    keyframe. Raises RequestError for an unknown name, and for segments without a frame or with too many.
    """
    for field, name, known in (("easing", easing, EASINGS), ("interpolation", interpolation, INTERPOLATIONS)):
        if name not in known:
            raise unknown(field, name, known, field=field)
    between, ease = INTERPOLATIONS[interpolation], EASINGS[easing]
    counts = frame_counts(len(keyframes), seconds, fps, loop)
    parts = []
    for i, count in enumerate(counts):
        arrives = not loop and i == len(counts) - 1
        steps = max(1, count - 1 if arrives else count)
        t = torch.tensor([ease(k / steps) for k in range(count)])
        a, b = keyframes[i], keyframes[(i + 1) % len(keyframes)]
        parts.append(between(a.expand(count, *a.shape), b.expand(count, *b.shape), t))
    return torch.cat(parts)


def frame_counts(keyframes: int, seconds: float | Sequence[float], fps: float, loop: bool) -> list[int]:
    """The frames of each segment of a walk; see `path`."""
    segments = keyframes if loop else keyframes - 1
    if keyframes < 2:
        raise RequestError(f"{keyframes} is too few for a walk", "give two keyframes or more, such as seeds 0,7,42")
    if not 0 < fps <= 1000:
        raise RequestError(f"{fps:g} frames a second are not possible", "give above 0, up to 1000", field="fps")
    each = [float(seconds)] * segments if isinstance(seconds, int | float) else list(map(float, seconds))
    if len(each) != segments:
        found = f"{len(each)} durations for {segments} segments of {keyframes} keyframes"
        raise RequestError(found, "give one number, or one for each segment", field="seconds")
    for one in each:
        if not 0.5 < one * fps <= MOST:
            problem = f"more than {MOST:,} frames" if one * fps > MOST else "no frame"
            problem = f"a segment of {one:g} seconds has {problem} at {fps:g} a second"
            raise RequestError(problem, "make it shorter" if one * fps > MOST else "make it longer", field="seconds")
    return [round(one * fps) for one in each]


def tour(origin: Tensor, directions: Tensor, strength: float = 3.0) -> Tensor:
    """Keyframes (3K, ...) of a loop from `origin` (...): to ±strength along each of `directions` (K, ...). Use lerp."""
    return torch.cat([torch.stack([origin, origin + strength * v, origin - strength * v]) for v in directions])


def walk(
    decoder: Decoder,
    latents: Tensor,
    *,
    label: Tensor | None = None,
    batch: int = 64,
    device: torch.device | str = "cpu",
) -> Iterator[Tensor]:
    """The frames of a walk, one by one, (C, H, W) in [-1, 1] on the CPU; `batch` of them are decoded at a time.

    latents: (F, ...), such as those of `path`. label: of all frames, () or (K,), where the decoder takes labels.
    """
    for part in latents.split(batch):
        labels = None if label is None else label.to(device).expand(len(part), *label.shape)
        with torch.inference_mode():  # not around `yield`, where it would cover the caller's code
            frames = decoder(part.to(device), labels).float().cpu()
        yield from frames
