"""Arrays of an .npz that are larger than the memory: mapped where they lie in the file, or unpacked to the disk."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.lib.npyio import NpzFile

from ..progress import Steps
from .dataset import LARGE
from .rows import CHUNK, gathering

LOCAL = 30  # bytes of an entry's own header, before its name


def read(path: Path, archive: NpzFile, name: str) -> Steps[np.ndarray]:
    """The array of that name. Raises what numpy, zipfile and zlib raise for damaged archives."""
    packed = archive.zip
    assert packed is not None
    entry = packed.getinfo(name if name in packed.namelist() else f"{name}.npy")
    if entry.file_size <= LARGE:
        return np.asarray(archive[name])
    with open(path, "rb") if entry.compress_type == zipfile.ZIP_STORED else packed.open(entry) as file:
        if entry.compress_type == zipfile.ZIP_STORED:
            file.seek(entry.header_offset)
            file.seek(entry.header_offset + LOCAL + sum(struct.unpack("<26x2H", file.read(LOCAL))))
        shape, fortran, dtype = header(file)
        if entry.compress_type == zipfile.ZIP_STORED:
            return np.memmap(path, dtype, "c", file.tell(), shape, "F" if fortran else "C")
        if fortran:
            raise ValueError(f"{name} is large and in Fortran's order")
        row = math.prod(shape[1:]) * dtype.itemsize
        rows = yield from gathering(rows_of(file, row, shape[0]), (row,), "unpacking arrays", shape[0])
        return rows.view(dtype).reshape(shape)


def header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it is in Fortran's order, and type of the array that a file begins with."""
    old = npy.read_magic(file) == (1, 0)
    shape, fortran, dtype = npy.read_array_header_1_0(file) if old else npy.read_array_header_2_0(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return shape, fortran, dtype


def rows_of(file: IO[bytes], row: int, count: int) -> Iterator[np.ndarray]:
    """The rows of an array as bytes (n, row), from where the file stands."""
    step = max(1, CHUNK // row)
    for start in range(0, count, step):
        size = min(step, count - start) * row
        data = file.read(size)
        if len(data) != size:
            raise ValueError("it ends too early")
        yield np.frombuffer(data, np.uint8).reshape(-1, row)
