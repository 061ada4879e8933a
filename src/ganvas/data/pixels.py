"""Arrays of numbers as pictures: which axis is which, which values are black and white, where the alpha is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..alpha import premultiplied
from ..progress import Progress, Steps
from .options import DataError, parse_levels
from .rows import chunks, gathering

Array = np.ndarray | Tensor
CHANNELS = (1, 3, 4)
SLACK = 0.01  # of the range of floating point numbers, beyond it: what resampling overshoots, which is cut off
DEEP = 65535.0  # white of 16 bits
RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))  # black and white of floating point numbers, the first that fits


class Form(NamedTuple):
    """How an array is read as pictures."""

    first: bool  # whether the channels come before height and width
    black: float
    white: float
    shape: tuple[int, int, int]  # (C, H, W)


def reading(array: Array, what: str, levels: str = "auto") -> Steps[tuple[Tensor, tuple[str, ...]]]:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) of any numbers -> (N, C, H, W) uint8, and what was guessed.

    levels: "LOW:HIGH", the values of black and of white, for anything but uint8; "full", 0 and 65535 for integers of 16
        bits; "auto" finds them. Colour with alpha is multiplied by it.
    Raises DataError where the array is no pictures, or its numbers have no known range.
    """
    first, shape, said = layout(array, what)
    (black, white), more = yield from scale(array, what, levels)
    form, notes = Form(first, black, white, shape), (*said, *more)
    if is_plain(array, form):  # as it is, without a copy
        return torch.from_numpy(np.asarray(array).reshape(len(array), *shape)), notes
    if shape[0] == 4:
        notes = (*notes, f"the fourth channel of {what} is alpha; colour is multiplied by it")
    parts = (pixels(part, form) for part in parts_of(array))
    return torch.from_numpy((yield from gathering(parts, shape, "reading arrays", len(array)))), notes


def is_plain(array: Array, form: Form) -> bool:
    """Whether an array is mapped from a file that already holds the pixels in the right form: it needs no copy."""
    mapped = isinstance(array, np.memmap) and array.dtype == np.uint8
    return mapped and (form.first or form.shape[0] == 1) and form.shape[0] != 4


def layout(array: Array, what: str) -> tuple[bool, tuple[int, int, int], tuple[str, ...]]:
    """Whether channels come first, (C, H, W), and what was guessed."""
    shape, tensor = tuple(array.shape), isinstance(array, Tensor)
    fix = "give (N, C, H, W), C of 1, 3 or 4" if tensor else "give (N, H, W) or (N, H, W, C), C of 1, 3 or 4"
    if not math.prod(shape):
        raise DataError(f"{what} has shape {shape} and is empty", f"{fix}, with N at least 1")
    if len(shape) == 3:
        if (shape[0] if tensor else shape[2]) in CHANNELS:
            raise DataError(f"{what} has shape {shape}, as a single picture has", fix)
        return True, (1, shape[1], shape[2]), ()
    if len(shape) != 4 or not {shape[1], shape[3]} & set(CHANNELS):
        raise DataError(f"{what} has shape {shape}, which is not of pictures", fix)
    first = shape[1] in CHANNELS if tensor else shape[3] not in CHANNELS
    said = (
        f"{what} of shape {shape} is read as ({'N, C, H, W' if first else 'N, H, W, C'}); transpose it if that is wrong"
    )
    _, a, b, c = shape
    return first, (a, b, c) if first else (c, a, b), () if first == tensor else (said,)


def parts_of(array: Array) -> Iterator[np.ndarray]:
    """The array, a few rows at a time."""
    row_bytes = math.prod(array.shape[1:]) * 8
    for rows in chunks(len(array), row_bytes):
        part = array[rows]
        if isinstance(part, Tensor):
            part = part.detach().cpu()
            part = (part.float() if part.dtype == torch.bfloat16 else part).numpy()
        yield np.asarray(part)


def pixels(part: np.ndarray, form: Form) -> np.ndarray:
    """Some rows of the array as (n, C, H, W) uint8."""
    if part.ndim == 3:
        part = part[:, None]
    elif not form.first:
        part = part.transpose(0, 3, 1, 2)
    if part.dtype != np.uint8:
        scaled = (part.astype(np.float32) - form.black) * (255 / (form.white - form.black))
        part = scaled.round().clip(0, 255).astype(np.uint8)
    return premultiplied(part.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if form.shape[0] == 4 else part


def scale(array: Array, what: str, levels: str) -> Steps[tuple[tuple[float, float], tuple[str, ...]]]:
    """The values of black and of white, and what was guessed."""
    kind = str(array.dtype).removeprefix("torch.")
    if kind == "uint8":
        return (0.0, 255.0), ()
    if kind == "bool":
        return (0.0, 1.0), (f"False is black and True is white in {what}",)
    whole = kind.startswith(("int", "uint"))
    if not whole and not kind.startswith(("float", "bfloat")):
        raise DataError(f"{what} is {kind}", "give uint8, bool or floating point numbers")
    low, high = yield from bounds(array, what)
    shown = f"{what} ({kind}, {low:.4g} to {high:.4g})"
    if given := parse_levels(levels):
        black, white = given
        return (black, white), (f"{black:g} is black and {white:g} is white in {shown}, as `levels` says",)
    found = whole_range(low, high, levels) if whole else float_range(low, high)
    if found is None:
        wanted = "0 to 255 or 0 to 65535" if whole else "[0, 1], [-1, 1] or [0, 255]"
        fix = "undo its normalisation, or say what is black and white with `levels`, such as 0:4095"
        raise DataError(f"{shown} is not in {wanted}", fix)
    if whole and found == (0.0, 255.0):
        return found, ()
    return found, (f"{found[0]:g} is black and {found[1]:g} is white in {shown}; `levels` LOW:HIGH says otherwise",)


def float_range(low: float, high: float) -> tuple[float, float] | None:
    """The first of RANGES that holds the numbers."""
    for black, white in RANGES:
        slack = SLACK * (white - black)
        if black - slack <= low and high <= white + slack:
            return black, white
    return None


def whole_range(low: float, high: float, levels: str) -> tuple[float, float] | None:
    """That of integers: 8 bits, or 16, of which less than half is stretched."""
    if low < 0 or high > DEEP:
        return None
    if high <= 255:
        return 0.0, 1.0 if high == 1 else 255.0
    return (low, high) if levels == "auto" and high - low < DEEP / 2 else (0.0, DEEP)


def bounds(array: Array, what: str) -> Steps[tuple[float, float]]:
    """The smallest and the largest number. DataError where one is NaN or infinite."""
    low, high, done = math.inf, -math.inf, 0
    for part in parts_of(array):
        low, high = min(low, float(part.min())), max(high, float(part.max()))
        if not math.isfinite(low + high):
            bad = done + int(np.nonzero(~np.isfinite(part.reshape(len(part), -1)).all(1))[0][0])
            raise DataError(f"item {bad} of {what} holds NaN or infinite numbers", "replace or leave out such items")
        done += len(part)
        yield Progress("looking for the range", done, len(array))
    return low, high
