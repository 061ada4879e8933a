"""`ganvas sample`: which seeds, and the files that hold what they give."""

from __future__ import annotations

import os
import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RequestError, WorkError

if TYPE_CHECKING:
    from torch import Tensor

    from ..frozen import TrainedGenerator

MOST = 1_000_000  # seeds of a range, whose items are all in memory


def parse_seeds(text: str) -> list[int]:
    """'0-3,42' -> [0, 1, 2, 3, 42], StyleGAN's syntax. Raises RequestError where it is none."""
    seeds: list[int] = []
    for part in text.replace(" ", "").split(","):
        found = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", part)
        if not found:
            raise RequestError(f"--seeds {text!r}: {part!r} is not a seed or a range; write such as 0-35,42")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise RequestError(f"--seeds {text!r}: the range {part} runs backwards; write {last}-{first}")
        if last - first >= MOST:
            raise RequestError(f"--seeds {text!r}: {part} are more than {MOST:,} seeds; draw them in several goes")
        seeds.extend(range(first, last + 1))
    return seeds


def write_samples(
    generator: TrainedGenerator, seeds: list[int], label: str | None, truncation: float, out: str
) -> None:
    """Draw one item a seed, and write what `out` names: a .png grid, an .npz, or a directory of PNGs.

    A directory is one that exists, or whose name ends with a separator or has no suffix.
    """
    kind = kind_of(out, generator)
    items = generator.sample(seeds, truncation=truncation, label=label)
    write(items, seeds, generator.labels(seeds, label), kind, out)


def write_saved(generator: TrainedGenerator, file: Path, label: str | None, truncation: float, out: str) -> None:
    """Draw the latents of an .npz, which count in place of seeds from 0; `out` as of `write_samples`."""
    from ..latent import read_latents, truncate

    kind = kind_of(out, generator)
    z = truncate(read_latents(file, generator.latents([0])), truncation)
    rows = list(range(len(z)))
    labels = generator.labels(rows, label)
    write(generator.decode(z, labels), rows, labels, kind, out)


def kind_of(out: str, generator: TrainedGenerator) -> str:
    """What `out` asks for: ".png", ".npz" or "" for a directory; a RequestError for what cannot be."""
    path = Path(out)
    kind = "" if out.endswith(("/", os.sep)) or path.is_dir() else path.suffix.lower()
    if kind not in ("", ".png", ".npz"):
        raise RequestError(f"--out {out}: {path.suffix} is not written; name a .png, an .npz or a directory/")
    if len(generator.decoder.shape) == 1 and kind == "":
        raise RequestError(f"--out {out}: points have no picture each; name a .png for a plot of all, or an .npz")
    return kind


def write(items: Tensor, seeds: list[int], labels: Tensor | None, kind: str, out: str) -> None:
    """Write items as `kind_of` says."""
    path = Path(out)
    try:
        if kind == ".npz":
            write_npz(items, seeds, labels, path)
        elif kind == ".png":
            write_grid(items, path)
        else:
            write_pictures(items, seeds, path)
    except OSError as error:
        raise WorkError(f"cannot write {out}: {(error.strerror or str(error)).lower()}") from error
    print(f"{len(seeds):,} samples in {out}")


def write_npz(items: Tensor, seeds: list[int], labels: Tensor | None, out: Path) -> None:
    """`images` uint8 (N, H, W, C) or `points` float32 (N, D), `seeds` int64, and `labels` where there are any.

    Labels are classes, (N,) int64, or keywords, (N, K) uint8.
    """
    import numpy as np

    from .. import files, media

    arrays: dict[str, np.ndarray] = {"seeds": np.array(seeds, np.int64)}
    arrays |= {"points": items.numpy()} if items.ndim == 2 else {"images": media.to_uint8(items)}
    if labels is not None:
        arrays["labels"] = labels.numpy()
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType] - no array is called allow_pickle
    files.write(out, buffer.getvalue())


def write_grid(items: Tensor, out: Path) -> None:
    """One PNG of all: a grid of images, a plot of points."""
    from .. import media

    media.save_png(media.scatter(items) if items.ndim == 2 else media.grid(items), out)


def write_pictures(items: Tensor, seeds: list[int], out: Path) -> None:
    """One PNG a seed, at its own size, in a directory."""
    from .. import media

    for seed, item in zip(seeds, items, strict=True):
        media.save_png(media.single(item), out / f"seed{seed:04d}.png")
