"""Damaged tables and archives: a sentence or a data set, nothing outside the cache, and no words moved to another
picture.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from ganvas.data import Dataset, open_data
from ganvas.errors import RequestError, WorkError

COUNT = 12  # pictures; picture i has the level 20 * i
QUICK, WHOLE = 60, 1000


def picture(i: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), 20 * i).save(buffer, "PNG")
    return buffer.getvalue()


def words(i: int) -> str:
    """What is said of picture i, and of no other; no part of it is what is said of another."""
    return hashlib.sha256(bytes([i])).hexdigest()


def table() -> pa.Table:
    numbers = range(COUNT)
    return pa.table(
        {
            "image": [{"bytes": picture(i), "path": ""} for i in numbers],
            "label": [words(i) for i in numbers],
            "text": [words(100 + i) for i in numbers],
        }
    )


def write(kind: str, path: Path) -> None:
    """Make a table or an archive of the pictures."""
    if kind == "parquet":
        parquet.write_table(table(), path, row_group_size=5, write_page_checksum=True)
        return
    if kind == "arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table().schema) as writer:
            writer.write_table(table(), max_chunksize=5)
        return
    with tarfile.open(path, "w:gz" if kind == "gz" else "w") as archive:
        for i in range(COUNT):
            record = json.dumps({"caption": words(100 + i)})
            for ending, data in (("png", picture(i)), ("cls", words(i).encode()), ("json", record.encode())):
                entry = tarfile.TarInfo(f"{i:02}.{ending}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))


def spoil(data: bytes, r: random.Random) -> bytes:
    """Cut, remove, repeat, blank or flip, at any place or at a block of 512 bytes."""
    grain = r.choice([1, 1, 8, 512])
    a, b = (grain * r.randrange(len(data) // grain + 1) for _ in range(2))
    a, b = min(a, b), max(a, b)
    near = min(b, a + r.choice([1, 4, 64, 512, 1536]))
    flipped = bytes(x ^ (1 << r.randrange(8)) for x in data[a:near])
    return r.choice(
        [
            data[:a],
            data[a:],
            data[:a] + data[b:],
            data[:near] + data[a:],
            data[:a] + data[near:],
            data[:a] + bytes(near - a) + data[near:],
            data[:a] + flipped + data[near:],
            data[:a] + r.choice([b"\0", b"\xff" * 8, b"\xff\xff\xff\x7f", b"9" * 400]) + data[a:],
        ]
    )


def check(data: Dataset) -> None:
    """That every picture has its own words, or none, or damaged ones."""
    labels, captions = {words(i): i for i in range(COUNT)}, {words(100 + i): i for i in range(COUNT)}
    for row in range(len(data)):
        level = {*data.items[row].flatten().tolist()}
        own = level.pop() // 20 if len(level) == 1 else None
        if data.labels is not None:
            assert labels.get(data.class_names[int(data.labels[row])], own) == own
        if data.captions is not None:
            assert captions.get(data.captions[row], own) == own


def run(number: int, folder: Path) -> str:
    """One case: what came of it."""
    r = random.Random(number)
    kind = r.choice(["parquet", "arrow", "tar", "gz"])
    path = folder / f"{number}{ {'parquet': '.parquet', 'arrow': '.arrow', 'tar': '.tar', 'gz': '.tar.gz'}[kind] }"
    write(kind, path)
    path.write_bytes(spoil(path.read_bytes(), r))
    try:
        data = open_data(str(path))
    except (RequestError, WorkError) as error:
        return f"{kind}: {error}"
    finally:
        path.unlink()
    if kind != "arrow":  # which has no checksums: a flipped bit may be that of where a text begins
        check(data)
    return kind


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


@pytest.mark.parametrize("kind", ["parquet", "arrow", "tar", "gz"])
def test_what_is_whole_is_read(folder: Path, kind: str) -> None:
    path = folder / {"parquet": "a.parquet", "arrow": "a.arrow", "tar": "a.tar", "gz": "a.tar.gz"}[kind]
    write(kind, path)
    data = open_data(str(path))
    assert (len(data), data.classes, len({*(data.captions or ())})) == (COUNT, COUNT, COUNT)
    check(data)


def cases(folder: Path, numbers: range) -> None:
    for number in numbers:
        try:
            run(number, folder)
        except Exception as error:
            raise AssertionError(f"case {number}") from error
    assert not list(folder.iterdir())
    assert {it.name for it in folder.parent.iterdir()} <= {"place", "cache"}
    assert {it.name for it in (folder.parent / "cache").iterdir()} <= {"datasets", "locks"}


def test_damaged_files(folder: Path) -> None:
    cases(folder, range(QUICK))


@pytest.mark.slow
def test_many_damaged_files(folder: Path) -> None:
    cases(folder, range(QUICK, QUICK + WHOLE))
