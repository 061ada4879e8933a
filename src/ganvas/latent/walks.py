"""Walks: from keyframe to keyframe through latents, a frame at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..errors import RequestError, unknown
from ..types import Decoder
from .interpolation import EASINGS, INTERPOLATIONS

MOST = 100_000  # frames of a leg, whose latents are all in memory: more than an hour of film


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

    seconds: of each leg, or one number for each of the legs: K where the walk loops back to its first keyframe, which
        then follows on its last frame, and K - 1 where it does not. A leg has exactly round(seconds · fps) frames.
    easing: of EASINGS. interpolation: of INTERPOLATIONS, slerp for Gaussian latents.

    A leg begins at its keyframe and ends one step before the next, which begins the next leg; the last leg of a walk
    that does not loop ends at its keyframe. Raises RequestError for an unknown name, and where there is no way to go.
    """
    if easing not in EASINGS:
        raise unknown("easing", easing, EASINGS)
    if interpolation not in INTERPOLATIONS:
        raise unknown("interpolation", interpolation, INTERPOLATIONS)
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
    """The frames of each leg of a walk; see `path`."""
    legs = keyframes if loop else keyframes - 1
    if keyframes < 2:
        raise RequestError(f"a walk needs two keyframes or more, not {keyframes}; give such as seeds 0,7,42")
    if not 0 < fps <= 1000:
        raise RequestError(f"{fps:g} frames a second cannot be shown; choose from above 0 to 1000, such as 25")
    each = [float(seconds)] * legs if isinstance(seconds, int | float) else list(map(float, seconds))
    if len(each) != legs:
        raise RequestError(
            f"{len(each)} durations for {legs} legs of {keyframes} keyframes; give one number, or one for each leg"
        )
    if long := [one for one in each if one * fps > MOST]:
        raise RequestError(
            f"a leg of {long[0]:g} seconds has more than {MOST:,} frames at {fps:g} a second; shorten it"
        )
    counts = [round(one * fps) if one > 0 else 0 for one in each]
    if min(counts) < 1:
        raise RequestError(f"a leg of {min(each):g} seconds has no frame at {fps:g} a second; make it longer")
    return counts


def tour(origin: Tensor, directions: Tensor, strength: float = 3.0) -> Tensor:
    """Keyframes (3K, ...) of a looping walk from `origin` (...) along K `directions` (K, ...), there and back.

    Each is gone as far as +strength, then -strength, then home. Walk it with lerp.
    """
    ways = [torch.stack([origin, origin + strength * v, origin - strength * v]) for v in directions]
    return torch.cat(ways)


def walk(
    decoder: Decoder,
    latents: Tensor,
    *,
    label: Tensor | None = None,
    batch: int = 64,
    device: torch.device | str = "cpu",
) -> Iterator[Tensor]:
    """The frames of a walk, one by one, (C, H, W) in [-1, 1] on the CPU; `batch` of them are decoded at a time.

    latents: (F, ...), such as `path` gives. label: what all frames show, one row of a decoder's labels, where it knows
    any.
    """
    for part in latents.split(batch):
        told = None if label is None else label.to(device).expand(len(part), *label.shape)
        with torch.inference_mode():  # closed before a frame is handed on, so that it does not cover the caller's code
            frames = decoder(part.to(device), told).float().cpu()
        yield from frames
