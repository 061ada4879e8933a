"""CIFAR-10's Python batches (https://www.cs.toronto.edu/~kriz/cifar.html): a folder of them, or the .tar.gz."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from .. import unpickle
from .dataset import Dataset, Origin
from .options import DataError, Options, blaming

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEMBERS = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
ARCHIVE = "cifar-10-python.tar.gz"
AGAIN = f"download {ARCHIVE} again"


def is_cifar(path: Path) -> bool:
    """Whether `path` is the published archive, or a folder with the training batches."""
    return path.name == ARCHIVE if path.is_file() else (path / "data_batch_1").is_file()


def read_cifar(path: Path, options: Options) -> Dataset:
    """The 50,000 training or 10,000 test images, (3, 32, 32), with their ten classes."""
    names = MEMBERS[options.split]
    found = {name: _batch(data, f"{path}: {name}") for name, data in _files(path, names)}
    if missing := [name for name in names if name not in found]:
        raise DataError(f"{path} lacks {', '.join(missing)} of CIFAR-10", AGAIN)
    images, labels = (torch.from_numpy(np.concatenate(part)) for part in zip(*map(found.get, names), strict=True))
    return Dataset("cifar10", images, labels, CLASSES, origin=Origin(str(path)))


def _files(path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    with blaming(f"{path} cannot be read as CIFAR-10", AGAIN, (OSError, EOFError, tarfile.TarError)):
        if path.is_dir():
            yield from ((name, (path / name).read_bytes()) for name in names if (path / name).is_file())
            return
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                data = archive.extractfile(member) if name in names else None
                if data is not None:
                    yield name, data.read()


def _batch(data: bytes, place: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32) uint8 and labels (N,) int64 of one pickled batch."""
    with blaming(f"{place} is not a batch of CIFAR-10", AGAIN, Exception):  # damaged pickles raise errors of any kind
        content = unpickle.arrays(data, encoding="bytes")
        images, labels = content[b"data"], np.array(content[b"labels"], np.int64)
        return images.reshape(len(labels), 3, 32, 32), labels
