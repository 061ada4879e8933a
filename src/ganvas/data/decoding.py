"""The pictures of a whole source, decoded into one array on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..progress import Steps
from .dataset import Origin
from .decode import TRUNCATED, Picture, decode
from .notes import cut_off
from .options import DataError, Options
from .pool import Source, each
from .rows import gathering
from .survey import Form, surveying


class Decoded(NamedTuple):
    """What could be decoded."""

    items: Tensor  # (N, C, H, W) uint8
    files: list[str]  # of the items
    origin: Origin


def decoding(source: Source, files: list[str], options: Options) -> Steps[Decoded]:
    """Decode files of a source in the form that the options and a sample of them choose.

    What cannot be decoded is left out, and named in `origin`; DataError if that is all. `origin.notes` says what was
    chosen and what was lost.
    """
    form, chosen = yield from surveying(source, files, options)
    pictures: dict[str, Picture] = {}  # without their pixels
    unreadable: list[tuple[str, str]] = []

    def pixels() -> Iterator[np.ndarray | None]:
        for file, result in zip(files, each(files, lambda file: decode(source.read(file), file, *form)), strict=True):
            if isinstance(result, str):
                unreadable.append((file, result))
            else:
                pictures[file] = result._replace(pixels=NONE)
            yield None if isinstance(result, str) else result.pixels[None]
        if not pictures:
            problem = f"none of the {len(files)} images of {source.place} can be decoded ({': '.join(unreadable[0])})"
            raise DataError(problem, "replace them or give another folder")

    shape = form.channels, form.size.height, form.size.width
    items = torch.from_numpy((yield from gathering(pixels(), shape, "reading files", len(files))))
    if options.channels is None and form.channels == 3 and all(it.grey for it in pictures.values()):
        items = items[:, :1]
    by_area = sorted(((it.width, it.height) for it in pictures.values()), key=prod)
    notes = (*cut_off(by_area, form.size), *chosen, *_notes(list(pictures.values()), unreadable, form, options))
    levels = f"{form.levels[0]}:{form.levels[1]}" if form.levels else "full"
    origin = Origin(source.place, tuple(unreadable), by_area[0], by_area[-1], notes, levels=levels)
    return Decoded(items, list(pictures), origin)


NONE = np.empty(0, np.uint8)


def _notes(pictures: list[Picture], unreadable: list[tuple[str, str]], form: Form, options: Options) -> Iterator[str]:
    transparent = sum(it.transparent for it in pictures)
    share = f"{transparent:,} of {len(pictures):,} pictures"
    if form.channels == 4 and options.channels is None:
        yield f"{share} are transparent somewhere, so alpha is a fourth channel: channels=3 lays them on white"
    elif form.channels < 4 and transparent:
        yield f"{share} are transparent somewhere and laid on white: channels=4 keeps their transparency"
    if kept := sum(it.truncated for it in pictures):
        yield f"{kept:,} JPEG files lack their last bytes, which are grey: truncated=skip leaves them out"
    if lost := sum(reason == TRUNCATED for _, reason in unreadable):
        yield f"{lost:,} JPEG files lack their last bytes and are left out: truncated=keep decodes what is there"
