"""The rows of Parquet and Arrow files, read a few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .options import DataError, blaming
from .tree import MAX_FILE

if TYPE_CHECKING:
    from pyarrow import RecordBatch, Schema  # pyright: ignore[reportMissingImports]

AGAIN = "make or download it again"
AT_ONCE, KEPT = 16, 6  # rows of a batch of pictures, and the batches that are kept: threads ask for rows out of order
LARGE = 2**26  # bytes of a group of rows that are not read at once


@dataclass(frozen=True)
class Part:
    """One file of a table."""

    path: Path
    rows: int
    schema: Schema

    @classmethod
    def of(cls, path: Path) -> Part:
        """DataError where it is damaged."""
        with blaming(f"{path} cannot be read as a table", AGAIN, Exception):  # Arrow raises many kinds
            if path.suffix.lower() == ".parquet":
                file = _parquet(path)
                return cls(path, file.metadata.num_rows, file.schema_arrow)
            schema, batches = _arrow(path)
            return cls(path, sum(batch.num_rows for batch in batches), schema)

    def batches(self, names: list[str], at_once: int, first: int = 0) -> Iterator[tuple[int, RecordBatch]]:
        """(number of its first row, batch) of these columns, from the batch or the group with the row `first`."""
        start = 0
        if self.path.suffix.lower() == ".parquet":
            file = _parquet(self.path)
            groups = file.metadata.num_row_groups
            ends = np.cumsum([0, *(file.metadata.row_group(i).num_rows for i in range(groups))])
            skipped = int(np.searchsorted(ends[1:], first, "right"))
            start = int(ends[skipped])
            found = file.iter_batches(at_once, list(range(skipped, groups)), names, use_threads=False)
        else:
            found = _sliced(_arrow(self.path)[1], names, at_once)
        for batch in found:
            if start + batch.num_rows > first:
                batch.validate(full=True)  # of a damaged file, offsets may point anywhere
                yield start, batch
            start += batch.num_rows


def _sliced(batches: Iterator[RecordBatch], names: list[str], at_once: int) -> Iterator[RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, at_once):
            yield batch.select(names).slice(start, at_once)


def _parquet(path: Path) -> Any:
    from pyarrow import parquet  # pyright: ignore[reportMissingImports]

    file = parquet.ParquetFile(path, pre_buffer=False, page_checksum_verification=True)
    groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
    if max((group.total_byte_size for group in groups), default=0) < LARGE:
        return file
    # A group may be as large as the file: it is read page by page, for which damage can cost pyarrow 2 GiB of memory.
    return parquet.ParquetFile(path, pre_buffer=False, page_checksum_verification=True, buffer_size=2**20)


def _arrow(path: Path) -> tuple[Schema, Iterator[RecordBatch]]:
    """The schema and the batches of an Arrow file: a stream, as `datasets` writes them, or the format for any order."""
    import pyarrow  # pyright: ignore[reportMissingImports]

    source = pyarrow.memory_map(str(path))
    if source.read(6) == b"ARROW1":
        file = pyarrow.ipc.open_file(source)
        return file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
    source.seek(0)
    stream = pyarrow.ipc.open_stream(source)
    return stream.schema, iter(stream)


class Rows:
    """The rows of a table as files, named by their numbers; `column` holds their pictures."""

    def __init__(self, paths: list[Path], place: str) -> None:
        self.place = place
        self.column = ""
        self.parts = [Part.of(path) for path in paths]
        self.starts = np.cumsum([0, *(part.rows for part in self.parts)])
        if not self.starts[-1]:
            raise DataError(f"{place} has no rows", AGAIN)
        self._lock = Lock()
        self._batches: Iterator[tuple[int, RecordBatch]] = iter(())
        self._kept: deque[tuple[int, Any]] = deque(maxlen=KEPT)  # (first row, cells)
        self._part = -1
        self._lost: dict[int, int] = {}  # by part, the row from which on it cannot be read

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def files(self) -> list[str]:
        """The names of all rows."""
        return [f"row {number}" for number in range(len(self))]

    def read(self, file: str) -> bytes:
        number = int(file.removeprefix("row "))
        part = int(np.searchsorted(self.starts, number, "right")) - 1
        with self._lock:
            cell = self._cell(part, number - int(self.starts[part]))
        return content(cell)

    def open(self, file: str) -> BinaryIO:
        return BytesIO(self.read(file))

    def _cell(self, part: int, row: int) -> Any:
        if row >= self._lost.get(part, row + 1):
            raise OSError("damaged in the table")
        if part != self._part or not self._kept or row < self._kept[0][0]:
            self._batches = self.parts[part].batches([self.column], AT_ONCE, row)
            self._part = part
            self._kept.clear()
        while True:
            for start, cells in self._kept:
                if start <= row < start + len(cells):
                    return cells[row - start].as_py()
            try:
                start, batch = next(self._batches)
            except Exception as error:  # StopIteration: fewer rows than the file claims
                end = self._kept[-1][0] + len(self._kept[-1][1]) if self._kept else row
                self._lost[part] = max(end, 0)
                self._part = -1
                raise OSError("damaged in the table") from error
            self._kept.append((start, batch.column(0)))


def content(cell: Any) -> bytes:
    """The picture file that a cell holds. OSError where it holds none."""
    if isinstance(cell, dict):
        if cell.get("bytes") is None and cell.get("path"):
            raise OSError(f"the table has the path of the picture ({cell['path']}), and not the picture")
        cell = cell.get("bytes")
    if cell is None:
        raise OSError("no picture")
    if isinstance(cell, list):
        with suppress(TypeError, ValueError):
            cell = bytes(cell)
    if not isinstance(cell, bytes | bytearray):
        raise OSError("not the content of a picture file")
    if len(cell) > MAX_FILE:
        raise OSError(f"more than {MAX_FILE} bytes")
    return bytes(cell)
