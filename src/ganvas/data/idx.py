"""MNIST's IDX files (http://yann.lecun.com/exdb/mnist), compressed or not."""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
import torch

from ..errors import RequestError
from .arrays import labelled
from .dataset import Dataset, Origin
from .options import NoSplit, Wanted

PREFIXES = {"train": "train", "test": "t10k"}
UNSIGNED_BYTE = 8  # the type code of the header


def is_idx(path: Path) -> bool:
    """Whether `path` is an IDX file of images, or a folder with MNIST's training pair."""
    return "idx3" in path.name if path.is_file() else _images(path, "train") is not None


def _images(folder: Path, split: str) -> Path | None:
    return next(iter(sorted(folder.glob(f"{PREFIXES[split]}-images*idx3*"))), None)


def read_idx(path: Path, wanted: Wanted) -> Dataset:
    """The images of an IDX file or folder, with the labels of the `idx1` file named alike, where there is one."""
    if path.is_dir():
        file = _images(path, wanted.split)
        if file is None:
            raise NoSplit(f"{path} has no {PREFIXES[wanted.split]}-images-idx3-ubyte[.gz] for the split wanted")
    else:
        file = path
        wanted.only_train(str(path))
    images = _array(file, rank=3)
    if not images.size:
        raise RequestError(f"{file} holds no images")
    beside = file.with_name(file.name.replace("images", "labels").replace("idx3", "idx1"))
    labels, names = None, ()
    if beside != file and beside.is_file():
        labels, names = labelled(_array(beside, rank=1), str(beside))
        if len(labels) != len(images):
            raise RequestError(f"{beside} has {len(labels)} labels for the {len(images)} images of {file}")
    elif path.is_dir():
        raise RequestError(f"{file} has no labels beside it; put {beside.name} there, or name the file itself")
    return Dataset(
        name=path.stem,
        items=torch.from_numpy(images[:, None]),
        labels=labels,
        class_names=names,
        origin=Origin(str(file)),
    )


def _array(path: Path, rank: int) -> np.ndarray:
    """The uint8 array of a file: a big-endian header (0, 0, type, rank, then each length), then its bytes."""
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            zero, kind, dimensions = struct.unpack(">HBB", file.read(4))
            if (zero, kind, dimensions) != (0, UNSIGNED_BYTE, rank):
                raise RequestError(f"{path} is not an IDX file of unsigned bytes in {rank} dimensions")
            shape = struct.unpack(f">{rank}I", file.read(4 * rank))
            try:
                data = file.read(prod(shape) + 1)
            except (MemoryError, OverflowError):  # no file holds what a damaged header may promise
                data = b""
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise RequestError(f"{path} cannot be read as an IDX file: {error}") from error
    if len(data) != prod(shape):
        raise RequestError(f"{path} is damaged: its header promises {prod(shape)} bytes of data")
    return np.frombuffer(bytearray(data), np.uint8).reshape(shape)
