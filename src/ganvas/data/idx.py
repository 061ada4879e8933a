"""MNIST's IDX files (http://yann.lecun.com/exdb/mnist), compressed or not."""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
import torch

from .arrays import class_labels
from .dataset import Dataset, Origin
from .options import DataError, NoSplit, Options, blaming

PREFIXES = {"train": "train", "test": "t10k"}
UNSIGNED_BYTE = 8  # the type code of the header


def is_idx(path: Path) -> bool:
    """Whether `path` is an IDX file of images, or a folder with MNIST's training pair."""
    return "idx3" in path.name if path.is_file() else _images(path, "train") is not None


def _images(folder: Path, split: str) -> Path | None:
    return next(iter(sorted(folder.glob(f"{PREFIXES[split]}-images*idx3*"))), None)


def read_idx(path: Path, options: Options) -> Dataset:
    """The images of an IDX file or folder, with labels if there is an `idx1` file of the same name."""
    if path.is_dir():
        file = _images(path, options.split)
        if file is None:
            missing = f"{PREFIXES[options.split]}-images-idx3-ubyte[.gz]"
            raise NoSplit(f"{path} has no {options.split} split", f"add {missing}", field="split")
    else:
        file = path
        options.require_train(path)
    images = _array(file, rank=3)
    if not images.size:
        raise DataError(f"{file} contains no images")
    label_file = file.with_name(file.name.replace("images", "labels").replace("idx3", "idx1"))
    labels, names = None, ()
    if label_file != file and label_file.is_file():
        labels, names = class_labels(_array(label_file, rank=1), label_file)
        if len(labels) != len(images):
            raise DataError(f"{label_file} has {len(labels)} labels for the {len(images)} images of {file}")
    elif path.is_dir():
        raise DataError(f"{file} has no labels", f"put {label_file.name} next to it, or give the file itself")
    return Dataset(path.stem, torch.from_numpy(images[:, None]), labels, names, origin=Origin(str(file)))


def _array(path: Path, rank: int) -> np.ndarray:
    """The uint8 array of a file: a big-endian header (0, 0, type, rank, then each length), then its bytes."""
    again, kinds = "copy or download it again", (OSError, EOFError, struct.error, zlib.error)
    with blaming(f"{path} cannot be read as an IDX file", again, kinds):
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            if struct.unpack(">HBB", file.read(4)) != (0, UNSIGNED_BYTE, rank):
                raise DataError(f"{path} is not an IDX file of unsigned bytes with {rank} dimensions")
            shape = struct.unpack(f">{rank}I", file.read(4 * rank))
            try:
                data = file.read(prod(shape) + 1)
            except (MemoryError, OverflowError):  # a damaged header may ask for any number
                data = b""
    if len(data) != prod(shape):
        raise DataError(f"{path} is damaged: its header says {prod(shape)} bytes of data", again)
    return np.frombuffer(bytearray(data), np.uint8).reshape(shape)
