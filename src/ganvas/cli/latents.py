"""What the commands about latents share: what is opened, how strengths and directions are named, how it is written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RequestError, WorkError
from ..frozen import TrainedGenerator, load_generator
from ..latent import Directions, read_directions
from ..plan import devices
from .root import parse_settings

if TYPE_CHECKING:
    from torch import Tensor


def open_generator(run: Path, settings: Sequence[str] | None = None) -> TrainedGenerator:
    """The generator of a run or file, on the fastest device; `settings` are KEY=VALUE."""
    return load_generator(run, devices()[0]).adjusted(parse_settings(settings or []))


def open_painter(run: Path, settings: Sequence[str] | None = None) -> TrainedGenerator:
    """A generator of images; a RequestError for one of points, which have no picture each."""
    generator = open_generator(run, settings)
    if len(generator.decoder.shape) != 3:
        raise RequestError(f"{run} draws points, which have no picture each; name the run of images")
    return generator


def one_label(generator: TrainedGenerator, label: str | None, seed: int = 0) -> Tensor | None:
    """What all pictures show: `label`, or else that of the seed's own item; None of a generator without labels."""
    labels = generator.labels([seed], label)
    return None if labels is None else labels[0]


def open_direction(text: str, generator: TrainedGenerator) -> tuple[Directions, str | None]:
    """FILE[:K] -> the directions of the file, and K where one is named."""
    file, colon, which = text.rpartition(":")
    if not colon or Path(text).exists():
        file, which = text, ""
    return read_directions(Path(file), generator.latents([0])), which or None


def parse_strengths(text: str) -> tuple[float, float]:
    """'-3:3' -> (-3.0, 3.0)."""
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        raise RequestError(f"--strength {text!r}: write FROM:TO, such as -3:3") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RequestError(f"--strength {text!r}: strengths are finite numbers, such as -3:3")
    return low, high


@contextmanager
def writing(out: str | Path) -> Iterator[None]:
    """Tell what could not be written, and why."""
    try:
        yield
    except OSError as error:
        raise WorkError(f"cannot write {out}: {(error.strerror or str(error)).lower()}") from error
