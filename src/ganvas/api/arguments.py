"""What several verbs do with their arguments before they work."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from ..errors import RequestError
from ..frozen import Autoencoder, TrainedGenerator, load_autoencoder
from ..frozen import Autoencoder as Kind
from ..frozen.opening import open_generator, open_image_generator, path_of
from ..plan import choose
from .types import Grid, Label, Names, Options, Out, RunLike, Strength, Texts


def device_of(device: str) -> str:
    """The device that "auto" is, or the one that was named. Raises RequestError where this machine lacks it."""
    return choose(device, "fp32").device


def generator_of(run: RunLike, device: str, options: Options | None) -> TrainedGenerator:
    """The generator of a run on a device, with its options set."""
    return open_generator(run, device_of(device), options)


def image_generator_of(run: RunLike, device: str, options: Options | None) -> TrainedGenerator:
    """The same; a RequestError for a generator of points."""
    return open_image_generator(run, device_of(device), options)


def asked_label(label: Label | None, prompt: str | None) -> Label | None:
    """What is to be drawn, by either argument."""
    if label is not None and prompt is not None:
        raise RequestError(f"{prompt!r} and `label` {label!r} exclude each other", "give one of them", field="prompt")
    return prompt if label is None else label


def one_label(generator: TrainedGenerator, label: Label | None, seed: int = 0) -> Tensor | None:
    """What all pictures show: `label`, or else that of the seed's own item; None of a generator without labels."""
    labels = generator.labels([seed], label)
    return None if labels is None else labels[0]


def parse_strengths(strength: Strength) -> tuple[float, float]:
    """'-3:3' -> (-3.0, 3.0); one number is that far to either side."""
    try:
        if isinstance(strength, str):
            low, high = (float(part) for part in strength.split(":"))
        else:
            low, high = (-strength, strength) if isinstance(strength, int | float) else strength
    except ValueError:
        raise RequestError(f"{strength!r} is not a range", "write FROM:TO, such as -3:3", field="strength") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RequestError(f"{strength!r} is not finite", "write FROM:TO, such as -3:3", field="strength")
    return low, high


def parse_names(names: Names, field: str) -> list[str]:
    """'a, b' -> ['a', 'b']. Raises RequestError where there is no name."""
    found = names.split(",") if isinstance(names, str) else list(names)
    found = [name.strip() for name in found if name.strip()]
    if not found:
        raise RequestError(f"{names!r} holds no name", "write such as a,b", field=field)
    return found


def parse_grid(grid: Grid) -> tuple[int, int]:
    """'3x2' -> (3, 2): columns and rows."""
    text = grid if isinstance(grid, str) else "x".join(map(str, grid))
    found = re.fullmatch(r"([1-9]\d?)[x×]([1-9]\d?)", text.strip())
    if not found:
        raise RequestError(f"{text!r} is not a grid", "write COLUMNSxROWS, such as 3x2", field="grid")
    return int(found[1]), int(found[2])


def at_least(least: int, **values: int | None) -> None:
    """Raise RequestError for the first of the arguments that is below `least`."""
    for name, value in values.items():
        if value is not None and value < least:
            raise RequestError(f"{value} is too few", f"give {least} or more", field=name)


def new_directory(out: Out | None) -> Path | None:
    """A directory that is to be made; a RequestError where something is there already."""
    if out is None:
        return None
    path = Path(out)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RequestError(f"{path} already exists", "choose another directory", field="out")
    return path


def refuse_overwriting(given: Iterable[object], written: Iterable[Path]) -> None:
    """Raise RequestError where what is to be written would replace a picture that was given, or one of its folder's."""
    kept = {Path(one).resolve() for one in given if isinstance(one, str | Path)}
    for path in written:
        found = path.resolve()
        if found.exists() and kept & {found, *found.parents}:
            raise RequestError(
                f"{path} is one of the pictures that were given, and would be replaced",
                "name another file",
                field="out",
            )


def texts_of(texts: Texts | None) -> list[str]:
    """One text or several, in a list."""
    return [texts] if isinstance(texts, str) else list(texts or ())


def autoencoder_of(run: RunLike, device: str) -> Autoencoder:
    """The autoencoder of a run, a file or what was loaded, on a device."""
    return run if isinstance(run, Kind) else load_autoencoder(path_of(run) or str(run), device_of(device))
