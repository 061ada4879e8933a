"""Pictures that were saved twice, resized or brightened are found; others are not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import ganvas
from ganvas.data import Dataset, open_data
from ganvas.data.near import NEAR, _candidates, near_duplicates
from ganvas.progress import drain


def smooth(seed: int, side: int = 32) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def dataset(*pictures: Image.Image) -> Dataset:
    items = np.stack([np.asarray(it.convert("RGB").resize((32, 32))) for it in pictures])
    return Dataset("x", torch.from_numpy(items).permute(0, 3, 1, 2).contiguous())


def saved(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def test_pictures_saved_again_or_resized_are_found() -> None:
    others = [smooth(seed) for seed in range(40)]
    data = dataset(*others, saved(others[3], 40), others[7].resize((20, 20)), others[9])
    pairs = drain(near_duplicates(data))
    assert {(first, second) for first, second, _ in pairs} == {(3, 40), (7, 41)}  # 9 and 42 are the same exactly
    assert all(distance <= NEAR for *_, distance in pairs)


def test_plain_pictures_and_points_are_not_compared() -> None:
    plain = [Image.new("RGB", (32, 32), (i, i, i)) for i in range(9)]
    assert drain(near_duplicates(dataset(*plain))) == []
    assert drain(near_duplicates(open_data("ring"))) == []


def test_transparent_pictures_are_compared_on_white() -> None:
    picture = smooth(1)
    picture.putalpha(Image.fromarray(np.asarray(smooth(2).convert("L"))))
    a = torch.from_numpy(np.array(picture.convert("RGBa"))).permute(2, 0, 1)
    data = Dataset("x", torch.stack([a, a.roll(16, 1), (a.int() - 1).clamp(min=0).byte()]))
    assert [(first, second) for first, second, _ in drain(near_duplicates(data))] == [(0, 2)]


def test_every_pair_within_the_distance_is_a_candidate() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, 300, np.uint64)
    for i in range(100):
        flipped = random.choice(64, random.integers(0, NEAR + 1), replace=False)
        hashes[200 + i] = hashes[i] ^ np.bitwise_or.reduce(np.uint64(1) << flipped.astype(np.uint64), initial=0)
    found = {
        pair for a, b, _ in _candidates(hashes, np.arange(300)) for pair in zip(a.tolist(), b.tolist(), strict=True)
    }
    assert {(i, 200 + i) for i in range(100)} <= found


def test_the_report_counts_them_and_a_sheet_shows_them(tmp_path: Path) -> None:
    found = ganvas.inspect(dataset(smooth(0), smooth(1), saved(smooth(0), 80)), progress=False)
    assert "near-duplicates: 1 pair, of 2 items" in found.lines()
    found.save(tmp_path / "some.png")
    assert found.pairs == tmp_path / "some-near.png"
    assert found.pairs.exists()
