"""Opening what a person has: a run, a path, or a network that is loaded already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ..errors import RequestError
from . import Autoencoder, Clip, TrainedGenerator, load_clip, load_generator
from .openai import best


class RunDirectory(Protocol):
    """An opened run: `run.Run` is one."""

    path: Path


def path_of(source: object) -> Path | None:
    """Where a run, a file or a directory is; None for a network in memory."""
    if isinstance(source, str | Path):
        return Path(source)
    found = getattr(source, "path", None)
    return found if isinstance(found, Path) else None


def open_generator(
    source: str | Path | RunDirectory | TrainedGenerator | Autoencoder,
    device: str = "cpu",
    options: Mapping[str, object] | None = None,
) -> TrainedGenerator:
    """The generator of a run, a file or what was loaded, on `device`, with `options` as `TrainedGenerator.adjusted`.

    A generator that is loaded already stays on its own device. Raises RequestError where there is none.
    """
    if isinstance(source, Autoencoder):
        source = source.as_generator()
    if not isinstance(source, TrainedGenerator):
        path = path_of(source)
        if path is None:
            raise RequestError(f"a {type(source).__name__} is not a generator", "give a run or a file", field="run")
        source = load_generator(path, device)
    return source.adjusted(options or {})


def open_image_generator(
    source: str | Path | RunDirectory | TrainedGenerator | Autoencoder,
    device: str = "cpu",
    options: Mapping[str, object] | None = None,
) -> TrainedGenerator:
    """As `open_generator`; a RequestError for a generator of points, which have no picture each."""
    generator = open_generator(source, device, options)
    if len(generator.decoder.shape) != 3:
        raise RequestError(
            f"{path_of(source) or 'this generator'} draws points, which have no picture each",
            "name a run of images",
            field="run",
        )
    return generator


def open_clip(source: str | Path | RunDirectory | Clip | None, device: str = "cpu") -> Clip:
    """The CLIP of a run, a file or what was loaded; for None the best on this machine (`openai.best`)."""
    if isinstance(source, Clip):
        return source
    return load_clip(best() if source is None else path_of(source) or str(source), device)
