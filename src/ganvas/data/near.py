"""Near-duplicates: pictures that are nearly the same, such as one saved twice or resized."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..progress import Progress, Steps
from .dataset import Dataset
from .rows import chunks

NEAR = 6  # bits of 64 that may differ, so that one of BANDS is the same
BANDS = ((0, 10), (10, 9), (19, 9), (28, 9), (37, 9), (46, 9), (55, 9))  # first bit, and how many
SIDE, THUMB = 32, 16  # pixels of what is hashed, and of what is compared
ALIKE = 8.0  # root mean square difference of two thumbnails, of 255
FLAT = 4.0  # standard deviation of a thumbnail: hashes of plainer ones say nothing
MOST = 10_000  # pairs, after which no more are looked for
ROWS = 2**21  # candidate pairs compared at once
ONES = np.array([bin(value).count("1") for value in range(2**16)], np.uint8)


class Pair(NamedTuple):
    """Two items that are nearly the same."""

    first: int
    second: int
    distance: int  # bits of 64 in which their hashes differ


def near_duplicates(dataset: Dataset) -> Steps[list[Pair]]:
    """Pairs of images whose hashes and thumbnails are nearly the same, the nearest first; exact duplicates are not
    among them. At most MOST are looked for. [] for points.
    """
    if len(dataset.shape) != 3:
        return []
    hashes, thumbs = np.empty(len(dataset), np.uint64), np.empty((len(dataset), THUMB**2), np.uint8)
    for part in chunks(len(dataset), dataset.items[0].nbytes):
        hashes[part], thumbs[part] = _looked_at(dataset.items[part])
        yield Progress("looking for near-duplicates", min(part.stop, len(dataset)), len(dataset))
    found: dict[tuple[int, int], int] = {}
    usable = np.flatnonzero(thumbs.std(1) > FLAT)
    for first, second, distance in _candidates(hashes, usable) if len(usable) else ():
        near = _difference(thumbs[first], thumbs[second]) <= ALIKE
        for a, b, bits in zip(first[near].tolist(), second[near].tolist(), distance[near].tolist(), strict=True):
            if (a, b) not in found and not torch.equal(dataset.items[a], dataset.items[b]):
                found[a, b] = bits
        if len(found) >= MOST:
            break
    return sorted((Pair(a, b, bits) for (a, b), bits in found.items()), key=lambda pair: (pair.distance, pair))


def _looked_at(items: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(N, C, H, W) uint8 -> hashes (N,) uint64 and thumbnails (N, THUMB²) uint8."""
    grey = items[:, :3].float().mean(1, keepdim=True)
    if items.shape[1] == 4:  # premultiplied: laid on white
        grey += 255 - items[:, 3:].float()
    small = interpolate(grey, size=(SIDE, SIDE), mode="bilinear", antialias=True)[:, 0].numpy()
    k, x = np.arange(8)[:, None], np.arange(SIDE)[None]
    cosines = np.cos(np.pi * k * (2 * x + 1) / (2 * SIDE))  # (8, SIDE): the lowest frequencies of a DCT
    waves = (cosines @ small @ cosines.T).reshape(len(small), 64)
    bits = waves > np.median(waves[:, 1:], 1, keepdims=True)  # the first is the mean
    hashes = np.packbits(bits, 1).view(">u8")[:, 0].astype(np.uint64)
    thumbs = small.reshape(len(small), THUMB, SIDE // THUMB, THUMB, SIDE // THUMB).mean((2, 4))
    return hashes, thumbs.reshape(len(small), -1).round().astype(np.uint8)


def _candidates(hashes: np.ndarray, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(first, second, distance) of pairs of rows at most NEAR apart; a pair may come again.

    Two such hashes agree in one of seven bands, so only items with the same band are compared.
    """
    for start, length in BANDS:
        bands = (hashes[rows] >> np.uint64(start)) & np.uint64(2**length - 1)
        order = np.argsort(bands, kind="stable")
        ends = np.flatnonzero(np.diff(bands[order])) + 1
        for bucket in np.split(rows[order], ends):
            step = max(1, ROWS // len(bucket))
            for begin in range(0, len(bucket) - 1, step):
                some = bucket[begin : begin + step]
                apart = ONES[(hashes[some][:, None] ^ hashes[bucket][None]).view(np.uint16)]
                distance = apart.reshape(len(some), len(bucket), 4).sum(2)
                i, j = np.nonzero(distance <= NEAR)
                later = j > i + begin
                a, b = some[i[later]], bucket[j[later]]
                yield np.minimum(a, b), np.maximum(a, b), distance[i[later], j[later]]


def _difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.sqrt(((first.astype(np.float32) - second) ** 2).mean(1))
