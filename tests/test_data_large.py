"""Many files: decoded by other processes, gone on with after a kill, one process at a time, and cleared."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.data import cache, open_data, opening, pool, worker
from ganvas.data.decode import Form
from ganvas.data.tree import Folder
from ganvas.errors import RequestError
from ganvas.files import TEMPORARY
from ganvas.progress import Progress
from ganvas.sizes import Size

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """70 pictures of 8x8, two batches and a bit, one of which is damaged."""
    top = tmp_path / "pictures"
    top.mkdir()
    for i in range(70):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)).save(top / f"{i:02}.png")
    (top / "40.png").write_bytes(b"no picture")
    return top


def test_processes_decode_what_threads_do(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_data(str(pictures))
    shutil.rmtree(cache.root())
    monkeypatch.setattr(pool, "MANY", 1)
    again = open_data(str(pictures))
    assert torch.equal(first.items, again.items)
    assert first.origin == again.origin
    assert [file for file, _ in again.origin.unreadable] == ["40.png"]


def test_without_processes_threads_do_it(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_data(str(pictures))
    shutil.rmtree(cache.root())
    monkeypatch.setattr(pool, "MANY", 1)
    monkeypatch.setattr(worker, "START", "import sys; sys.exit(1)")
    assert torch.equal(open_data(str(pictures)).items, first.items)


def test_a_file_that_crashes_a_decoder_is_unreadable_and_no_other(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = "import ganvas.data.decode as d, os\nload = d._opened\n"
    crash += "d._opened = lambda content, file: os._exit(1) if file == '05.png' else load(content, file)\nserve()"
    monkeypatch.setattr(worker, "START", worker.START.replace("serve()\n", crash))
    monkeypatch.setattr(pool, "MANY", 1)
    data = open_data(str(pictures))
    assert data.origin.unreadable == (("05.png", pool.CRASH), ("40.png", "not an image"))
    assert len(data) == 68


def test_a_bomb_is_refused_by_a_process_too(pictures: Path) -> None:
    crew = worker.Worker()
    try:
        monkey = [("a.png", (pictures / "00.png").read_bytes())]
        assert crew.decode(monkey, Form(Size(8, 8), 3)).pixels.shape == (1, 3, 8, 8)
        Image.new("1", (20000, 20000)).save(pictures / "bomb.png")
        bomb = [("bomb.png", (pictures / "bomb.png").read_bytes()), *monkey]
        with pytest.raises(RequestError, match="decompression bomb"):
            crew.decode(bomb, Form(Size(8, 8), 3))
        assert crew.decode(monkey, Form(Size(8, 8), 3)).found == [(8, 8, False, False, False)]
    finally:
        crew.close()


@pytest.mark.parametrize("spoil", ["nothing", "rows", "line", "first"])
def test_work_that_was_killed_goes_on_where_it_was(pictures: Path, monkeypatch: pytest.MonkeyPatch, spoil: str) -> None:
    whole = open_data(str(pictures))
    shutil.rmtree(cache.root())
    steps = opening(str(pictures))
    while next(steps) != Progress("reading files", 33, 70):  # the second batch is written
        pass
    steps.close()
    (partial,) = cache.root().iterdir()
    rows, journal = partial / "rows", partial / "journal.jsonl"
    if spoil == "rows":  # of the second batch, as after a power cut
        rows.write_bytes(rows.read_bytes()[:-9])
    if spoil == "line":
        journal.write_bytes(journal.read_bytes()[:-9])
    if spoil == "first":
        journal.write_bytes(b"{\n")
    read: list[str] = []
    original = Folder.read
    monkeypatch.setattr(Folder, "read", lambda self, file: (read.append(file), original(self, file))[1])
    again = open_data(str(pictures))
    assert torch.equal(again.items, whole.items)
    assert again.origin == whole.origin
    assert len(read) == {"nothing": 6, "rows": 38, "line": 38, "first": 70}[spoil]
    assert not partial.exists()


def test_grey_sets_keep_one_channel_of_the_three_that_were_decoded(tmp_path: Path) -> None:
    (tmp_path / "grey").mkdir()
    for i in range(5):
        Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / "grey" / f"{i}.png")
    data = open_data(str(tmp_path / "grey"))
    assert data.items.shape == (5, 1, 8, 8)
    assert data.items[:, 0, 3, 3].tolist() == [0, 1, 2, 3, 4]


def test_a_second_process_waits_and_does_not_decode(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = opening(str(pictures)), opening(str(pictures))
    next(first)
    assert next(second).what == "waiting for another process that reads the same data"
    for _ in first:
        pass
    monkeypatch.setattr(worker, "decode", None)
    assert [report for report in second if report.what == "reading files"] == []


def test_leftovers_of_killed_conversions_are_removed(pictures: Path, tmp_path: Path) -> None:
    left = [cache.root() / f"{TEMPORARY}0123abcd-old", cache.root() / ".partial-old", cache.root() / ".partial-young"]
    held = cache.root() / f"{TEMPORARY}0123abcd-held"
    for path in (*left, held):
        path.mkdir(parents=True)
    os.utime(left[1], (time.time() - 2 * cache.STALE,) * 2)
    lock = cache._lock("held")
    lock.acquire()
    open_data(str(pictures))
    assert [path.exists() for path in (*left, held)] == [False, False, True, True]
    lock.release()


def test_the_cache_has_a_size_and_can_be_cleared(pictures: Path) -> None:
    assert cache.clear() == (0, 0)
    open_data(str(pictures))
    size = cache.size()
    assert size > 69 * 3 * 64
    assert cache.clear() == (size, 0)
    assert cache.size() == 0
    assert len(open_data(str(pictures))) == 69
