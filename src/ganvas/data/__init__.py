"""Where images, points, labels and captions come from: `open_data(spec)` opens any source as a Dataset.

A spec is a name of NAMES; the path of a folder of pictures, a .zip or .tar of one, archives or tables of pictures, an
.npz, an IDX file or folder, CIFAR-10's batches, or a store that `Dataset.save` wrote; a pattern such as
`shards-{000..003}.tar`; or `hf:owner/name`. Names come before paths: ./digits is a folder. Or the data are in memory:
see `memory`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..errors import RequestError, unknown
from ..progress import Steps, drain, drained
from ..sizes import parse_size
from . import arrays, cifar, digits, folder, hub, idx, memory, points, shapes, store, tables, webdataset
from .dataset import Dataset, Modes, Origin
from .known import read_known
from .memory import Source
from .options import DEFAULT, DataError, NoSplit, Options, blaming
from .report import Report, describe, printable

__all__ = ["NAMES", "Dataset", "Modes", "Options", "Origin", "Report", "Source", "describe", "inspect", "inspecting"]
__all__ += ["lasting", "open_data", "opening", "printable"]

# What it is, and its reader
NAMED: dict[str, tuple[str, Callable[[str, Options], store.Opened]]] = {
    "digits": ("1,797 handwritten digits, grey 8x8, ten classes (UCI)", digits.read_digits),
    "shapes": ("10,000 drawn scenes, colour, any size, with captions and attributes", shapes.read_scenes),
    "one-shape": ("the same with a single shape in each", partial(shapes.read_scenes, most=1)),
    "centred-shape": (
        "that shape larger and in the middle: only kind, colour and size vary",
        partial(shapes.read_scenes, most=1, arrange=shapes.centred),
    ),
    "sine": ("1,024 points on (x, sin x)", points.read_points),
    "ring": ("50,000 points of 8 Gaussians on a circle", points.read_points),
    "grid": ("50,000 points of 25 Gaussians on a grid", points.read_points),
    "spiral": ("50,000 points along a spiral", points.read_points),
    "fashion-mnist": ("70,000 articles of clothing, grey 28x28, ten classes", read_known),
    "mnist": ("70,000 handwritten digits, grey 28x28, ten classes", read_known),
    "stacked-mnist": ("154,000 triples of handwritten digits, colour 28x28, 1,000 classes", digits.read_stacked),
    "cifar10": ("60,000 photographs, colour 32x32, ten classes", read_known),
    "emoji": ("3,786 emoji, colour 64x64, with names and categories", read_known),
}
NAMES = {name: words for name, (words, _) in NAMED.items()}


def opening(source: Source, options: Options = DEFAULT, *, hold_out: float = 0.0) -> Steps[Dataset]:
    """Open a data set: yields Progress while files are read or shapes are drawn. `open_data` is the same in one call.

    hold_out: above 0, give the train split a `held_out` part to measure on: the test split or, if the source has
        none, this share of the items, which are then removed from the data set itself.
    Errors: RequestError, with the reason and a fix; WorkError if the cache cannot be written.
    """
    options.check()
    spec = str(source) if isinstance(source, str | Path) else None
    opened = memory.read_memory(source, options) if spec is None else _read(spec, options)
    dataset = yield from store.finished(opened)
    dataset = yield from arrays.fit(dataset, options)
    spec = dataset.spec if spec is None else spec
    dataset = replace(dataset, spec=spec, seed=options.seed, split=options.split)
    if not hold_out or options.split != "train":
        return dataset
    if dataset.origin.splits and not any(split != "train" for split, _ in dataset.origin.splits):
        return dataset.hold_out(hold_out)
    try:
        test = yield from opening(source, options.like(dataset)._replace(split="test"))
    except NoSplit:
        return dataset.hold_out(hold_out)
    return replace(dataset, held_out=test)


def open_data(
    source: Source,
    *,
    size: object = None,
    channels: int | None = None,
    split: str = "train",
    seed: int = 0,
    levels: str = "auto",
    truncated: str = "skip",
    image: str = "",
    caption: str = "",
    hold_out: float = 0.0,
) -> Dataset:
    """Open a data set.

    source: a name, a path, or what is in memory: images as an array or a tensor, pictures, (images, labels), a torch
        data set.
    size: pixels: 64 (a square), "96x128" or (96, 128) (width, height). None keeps that of arrays, draws `shapes` at 32,
        and for files keeps the shape that most have. Pictures of another shape are cut to their middle.
    channels: 1 (grey), 3 (colour), or 4 (colour and alpha, premultiplied). None keeps those of arrays; files become
        grey if all are, and have 4 if most are transparent somewhere.
    split: "train" or "test", if the source has both (drawn sets do, and folders with `train` and `test` in them).
    seed: of the order of batches and, for `shapes` and points, of what is drawn.
    levels: of 16-bit pictures, what is black and what is white: "LOW:HIGH"; "full", 0 and 65535; "auto", the same
        unless the set uses less than half of it.
    truncated: "keep" decodes what is there of pictures that lack their last bytes; "skip" leaves them out.
    image, caption: the columns of a table; "" finds them.
    hold_out: above 0, a share to measure on, where the source has no test split (`held_out` of the result).
    Errors: RequestError, with the reason and a fix; WorkError if the cache cannot be written.
    """
    try:
        wanted = parse_size(size)
    except ValueError as error:
        raise RequestError(str(error), field="size") from None
    options = Options(wanted, channels, split, seed, levels, truncated, image, caption)
    return drain(opening(source, options, hold_out=hold_out))


def lasting(spec: str) -> str:
    """A spec that means the same from any directory: paths are made absolute."""
    try:
        path = Path(spec).expanduser().resolve()
        exists = path.exists() or webdataset.is_pattern(spec)
        return str(path) if spec and spec not in NAMES and exists else spec
    except REFUSED:  # opening it says so
        return spec


def inspecting(source: Source, options: Options = DEFAULT) -> Steps[Report]:
    """Open a data set and count what is in it: classes, exact duplicates, unreadable files. `inspect` in one call."""
    dataset = yield from opening(source, options)
    return (yield from describe(dataset))


inspect = drained(inspecting)

REFUSED = (OSError, RuntimeError, ValueError)  # no permission, no such user, links in circles, a NUL byte in a path

# (whether it reads a path, the reader), in the order in which they are tried
READERS: tuple[tuple[Callable[[Path], bool], Callable[[Path, Options], store.Opened]], ...] = (
    (store.is_store, store.read_store),
    (lambda path: path.suffix.lower() == ".npz", arrays.read_npz),
    (lambda path: path.suffix.lower() == ".npy", arrays.read_npy),
    (cifar.is_cifar, cifar.read_cifar),
    (idx.is_idx, idx.read_idx),
    (folder.is_emoji, folder.read_emoji),
    (webdataset.is_archive, webdataset.read_archive),
    (tables.is_table, tables.read_table),
    (lambda path: path.is_dir() or path.suffix.lower() == ".zip", folder.read_folder),
)


def _read(spec: str, options: Options) -> store.Opened:
    """What the reader of a spec gives; `fit` applies a size or channels that the reader could not."""
    if spec in NAMED:
        return NAMED[spec][1](spec, options)
    if spec.startswith("hf:"):
        return hub.read_hub(spec.removeprefix("hf:"), options)
    if webdataset.is_pattern(spec):
        return webdataset.read_pattern(spec, options)
    with blaming(f"{spec!r} cannot be opened", "give a folder, a .zip, an .npz or a name", REFUSED):
        path = Path(spec).expanduser().resolve()
        exists = spec != "" and path.exists()
        reader = next((read for matches, read in READERS if exists and matches(path)), None)
    if reader is not None:
        return reader(path, options)
    if exists:
        raise DataError(
            f"{spec!r} is not a data set",
            "give a folder of images, a .zip or .tar of one, a .parquet, an .npz or an IDX file",
        )
    if spec and path.name == spec and not path.suffix:
        raise unknown("data set or folder", spec, NAMES, field="data")
    choices = f"give a folder, a .zip, a .tar, a .parquet, an .npz, an IDX file, or one of: {', '.join(NAMES)}"
    raise DataError(f"there is no {spec!r}", choices)
