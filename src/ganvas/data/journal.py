"""Decoded rows in a file, with a journal next to it: killed work resumes where it was."""

from __future__ import annotations

import json
import tempfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..files import cache_directory
from .rows import room
from .worker import Batch, Found

ROWS, LINES = "rows", "journal.jsonl"  # no .npy before it is whole
HEADER = 128  # bytes of an .npy before its rows


class Journal:
    """A file of rows in a folder, or in an unnamed file if there is no folder; `done` is what is there already."""

    def __init__(self, folder: Path | None) -> None:
        self._count = 0
        with room():
            if folder is None:
                self._rows, self._lines = tempfile.TemporaryFile(dir=cache_directory()), None  # noqa: SIM115
                return
            folder.mkdir(parents=True, exist_ok=True)
            for name in (ROWS, LINES):
                (folder / name).touch()
            self._rows: IO[bytes] = (folder / ROWS).open("r+b")
            self._lines: IO[bytes] | None = (folder / LINES).open("r+b")

    def first(self) -> Any:
        """What `begin` was given, or None in a new journal."""
        return self._read()

    def _read(self) -> Any:
        line = self._lines.readline() if self._lines else b""
        try:
            return json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            return None

    def begin(self, first: object) -> None:
        """Empty both files; `first` says what the rows are."""
        with room():
            for file in filter(None, (self._rows, self._lines)):
                file.seek(0)
                file.truncate()
            self._rows.seek(HEADER)
            self._write(first)

    def done(self, shape: tuple[int, ...]) -> list[list[Found]]:
        """What was found in each batch whose rows, of this shape, are whole. The next is written after them."""
        batches, self._count = [], 0
        self._rows.seek(HEADER)
        end = self._lines.tell() if self._lines else 0
        while line := self._read():
            found = [it if isinstance(it, str) else tuple(it) for it in line["found"]]
            count = sum(not isinstance(it, str) for it in found)
            if zlib.crc32(self._rows.read(count * int(np.prod(shape)))) != line["crc"]:
                break
            self._count += count
            batches.append(found)
            assert self._lines
            end = self._lines.tell()
        self._rows.seek(HEADER + self._count * int(np.prod(shape)))
        if self._lines:
            self._lines.seek(end)
            self._lines.truncate()
        return batches

    def add(self, batch: Batch) -> None:
        """Write a batch, then a line that says so."""
        with room():
            self._rows.write(batch.pixels.data)
            self._rows.flush()
            self._count += len(batch.pixels)
            self._write({"found": batch.found, "crc": zlib.crc32(batch.pixels.data)})

    def _write(self, line: object) -> None:
        if self._lines:
            self._lines.write(json.dumps(line).encode() + b"\n")
            self._lines.flush()

    def finish(self, shape: tuple[int, ...], channels: int) -> np.ndarray:
        """The rows (N, *shape), or the first channels of them, memory-mapped. The file is then an .npy of them."""
        depth, count, step = shape[0], self._count, max(1, 2**24 // int(np.prod(shape)))
        kept = (channels, *shape[1:])
        with room():
            self._rows.flush()
            if channels != depth:
                rows = np.memmap(self._rows, np.uint8, "r+", HEADER, (count, *shape))
                flat = np.memmap(self._rows, np.uint8, "r+", HEADER, (count * int(np.prod(kept)),))
                for start in range(0, count, step):  # what is written lies before what is still to be read
                    part = np.ascontiguousarray(rows[start : start + step, :channels]).reshape(-1)
                    flat[start * int(np.prod(kept)) :][: part.size] = part
                del rows, flat
                self._rows.truncate(HEADER + count * int(np.prod(kept)))
            self._rows.seek(0)
            np.lib.format.write_array_header_1_0(
                self._rows, {"descr": "|u1", "fortran_order": False, "shape": (count, *kept)}
            )
            assert self._rows.tell() == HEADER
            self._rows.flush()
            return np.memmap(self._rows, np.uint8, "c", HEADER, (count, *kept))

    def close(self) -> None:
        """Close the files."""
        for file in filter(None, (self._rows, self._lines)):
            file.close()
