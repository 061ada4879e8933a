"""The stream of batches: a function of (seed, step), every item once an epoch."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ganvas
from ganvas.data import Dataset, dataset, rows

COUNTS = st.integers(1, 40)


def points(n: int, seed: int = 0) -> Dataset:
    """`n` points whose first coordinate is their row."""
    return Dataset(name="rows", items=torch.arange(n * 2, dtype=torch.float32).view(n, 2) / 2, seed=seed)


@given(n=COUNTS, size=st.integers(1, 90), seed=st.integers(0, 2**40))
def test_batches_cut_a_stream_whose_epochs_are_permutations(n: int, size: int, seed: int) -> None:
    data = points(n, seed)
    steps = -(-3 * n // size)
    stream = torch.cat([data.batch(step, size).index for step in range(steps)])
    for epoch in range(3):
        assert sorted(stream[epoch * n : (epoch + 1) * n].tolist()) == list(range(n))


@given(n=COUNTS, step=st.integers(0, 10**6), small=st.integers(1, 9), parts=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_batch_is_the_batches_of_its_parts(n: int, step: int, small: int, parts: int, seed: int) -> None:
    """Positions alone decide: one batch of k parts is the k smaller batches at the same place in the stream."""
    whole = points(n, seed).batch(step, small * parts)
    pieces = [points(n, seed).batch(step * parts + k, small).index for k in range(parts)]
    assert torch.equal(whole.index, torch.cat(pieces))


def test_steps_in_any_order_give_the_same_batches() -> None:
    forward = [points(50).batch(step, 16).x for step in range(40)]
    data = points(50)
    backward = [data.batch(step, 16).x for step in reversed(range(40))]
    assert all(torch.equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))


def test_epochs_and_seeds_have_their_own_orders() -> None:
    data = points(100)
    orders = [data.batch(0, 100), data.batch(1, 100), replace(data, seed=1).batch(0, 100)]
    assert len({tuple(order.index.tolist()) for order in orders}) == 3


def test_images_are_scaled_and_rows_keep_their_labels() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1)
    data = Dataset(name="levels", items=images, labels=torch.arange(256) % 7, class_names=tuple("abcdefg"))
    batch = data.batch(0, 256)
    level = batch.index.double().view(-1, 1, 1, 1)
    torch.testing.assert_close(batch.x.double(), level / 127.5 - 1, rtol=0, atol=1e-6)
    assert batch.x.dtype == torch.float32
    assert (batch.x.min(), batch.x.max()) == (-1, 1)
    assert batch.label is not None
    assert torch.equal(batch.label, batch.index % 7)
    assert (data.shape, data.classes, len(data)) == ((1, 1, 1), 7, 256)


def test_points_keep_their_units() -> None:
    batch = points(9).at(torch.tensor([4, 4, 0]))
    assert batch.x[:, 0].tolist() == [4, 4, 0]
    assert batch.label is None


def test_items_move_to_a_device_with_room_and_only_batches_to_one_without(monkeypatch: pytest.MonkeyPatch) -> None:
    data = points(8)
    assert data.to("meta").items.device.type == "meta"
    monkeypatch.setattr(dataset, "_free_bytes", lambda device: 10.0)
    crowded = data.to("meta")
    assert crowded.items.device.type == "cpu"
    assert crowded.batch(0, 4).x.device.type == "meta"
    assert data.to("cpu").batch(0, 4).x.device.type == "cpu"


def test_the_fingerprint_is_of_the_content() -> None:
    data = points(5)
    assert replace(data, name="other", seed=3, fingerprint="").fingerprint == data.fingerprint
    assert len(data.fingerprint) == 16
    changed = [
        replace(data, items=data.items.flip(0), fingerprint=""),
        replace(data, labels=torch.zeros(5, dtype=torch.int64), fingerprint=""),
        replace(data, captions=tuple("abcde"), fingerprint=""),
        replace(data, attributes={"a": torch.ones(5)}, fingerprint=""),
    ]
    assert len({data.fingerprint, *(it.fingerprint for it in changed)}) == 5


def test_the_fingerprint_needs_no_memory_for_all_items() -> None:
    items = torch.zeros(1, 1, 64, 64, dtype=torch.uint8).expand(8192, 1, 64, 64)  # as grey ones are cut out of colour
    whole = Dataset(name="some", items=items.contiguous()).fingerprint
    tracemalloc.start()
    assert Dataset(name="some", items=items).fingerprint == whole
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < items.nbytes / 4


def test_a_share_of_more_than_the_memory_holds_is_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    items = torch.arange(60 * 12, dtype=torch.int64).to(torch.uint8).view(60, 3, 2, 2)
    data = Dataset(name="some", items=items, labels=torch.arange(60) % 2, class_names=("a", "b"))
    whole = data.hold_out(0.5)
    mapped: list[int] = []
    memmap = np.memmap
    monkeypatch.setattr(np, "memmap", lambda *a, **k: mapped.append(1) or memmap(*a, **k))
    monkeypatch.setattr(dataset, "LARGE", 300)
    monkeypatch.setattr(rows, "CHUNK", 7 * 12)
    parted = data.hold_out(0.5)
    assert len(mapped) == 2
    assert parted.held_out is not None and whole.held_out is not None
    for part, same in ((parted, whole), (parted.held_out, whole.held_out)):
        assert torch.equal(part.items, same.items)
        assert part.fingerprint == same.fingerprint


def test_the_contact_sheet_of_large_pictures_is_drawn_small() -> None:
    large = Dataset(name="some", items=torch.full((1, 1, 1024, 512), 9, dtype=torch.uint8).expand(100, 1, 1024, 512))
    sheet = np.asarray(ganvas.inspect(large, progress=False).picture())
    assert sheet.shape[:2] == (10 * (256 + 10) + 10, 10 * (128 + 10) + 10)
    assert (sheet == 9).mean() > 0.8


@given(count=st.integers(1, 3000), row_bytes=st.integers(0, 2**26))
def test_chunks_cover_all_rows_and_are_of_a_bounded_size(count: int, row_bytes: int) -> None:
    parts = [range(count)[part] for part in rows.chunks(count, row_bytes)]
    assert [row for part in parts for row in part] == list(range(count))
    assert all(len(part) == 1 or len(part) * row_bytes <= rows.CHUNK for part in parts)
