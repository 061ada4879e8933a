"""How the pictures of a set are decoded: a sample of them chooses what is left to the data."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ..progress import Progress, Steps, counted
from ..sizes import Size, base_of, keeping_shape, share_shape
from .decode import DEEPEST, Form, Header, Levels, Range, is_transparent, read_header, read_range
from .options import Options, parse_levels
from .pool import Source, each

SAMPLED = 1000  # files that choose
SIZES = (256, 128, 64, 32, 16, 8)  # sides to choose from
FEW = 128  # shades


class Survey(NamedTuple):
    """What a sample of the pictures chose."""

    form: Form
    notes: tuple[str, ...] = ()


def surveying(source: Source, files: list[str], options: Options) -> Steps[Survey]:
    """The form that the options name, and for what they leave to the data, that of most of the files."""
    keep, levels = options.truncated == "keep", parse_levels(options.levels)
    if options.size and options.channels and options.levels != "auto":
        return Survey(Form(options.size, options.channels, levels, keep))
    some = files[:: -(-len(files) // SAMPLED)]
    results = each(some, lambda file: _header(source, file))
    found = yield from counted(results, "reading sizes", len(some))
    headers = {file: it for file, it in zip(some, found, strict=True) if isinstance(it, Header)}
    size = options.size or _choose_size([Size(it.width, it.height) for it in headers.values()])
    channels, note = options.channels or (yield from _choose_channels(source, headers)), ""
    deep = [file for file, header in headers.items() if header.deep]
    if options.levels == "auto" and deep:
        levels, note = yield from _choose_levels(source, deep)
    return Survey(Form(size, channels, levels, keep), (note,) if note else ())


def _header(source: Source, file: str) -> Header:
    with source.open(file) as content:
        return read_header(content, file)


def _choose_size(found: list[Size]) -> Size:
    """For pictures of one shape theirs, of others a square; of nearly the area that SIZES give the median side."""
    median = statistics.median([size.short for size in found]) if found else 0
    side = next((side for side in SIZES if side <= median), SIZES[-1])
    if not found:
        return Size(side, side)
    common, count = Counter(found).most_common(1)[0]
    if count == len(found) and base_of(common.height, common.width) and common.short <= SIZES[0]:
        return common  # as they are
    return keeping_shape(common, side) if share_shape(found, common) else Size(side, side)


def _choose_channels(source: Source, headers: dict[str, Header]) -> Steps[int]:
    """4 if more than half are transparent, else 3. Decodes those that may be, until the answer is certain."""
    possible = [file for file, header in headers.items() if header.alpha]
    most, clear = len(headers) / 2, 0

    def look(file: str) -> bool:
        with source.open(file) as content:
            return is_transparent(content, file)

    results: Iterable[bool | str] = each(possible, look) if len(possible) > most else ()
    for done, result in enumerate(results, 1):
        yield Progress("looking for transparency", done, len(possible))
        clear += result is True
        if clear > most or clear + len(possible) - done <= most:
            break
    return 4 if clear > most else 3


def _choose_levels(source: Source, deep: list[str]) -> Steps[tuple[Levels, str]]:
    """The levels of pictures of more than 8 bits and, where these use less than half of theirs, a note of it.

    Black and white are then the lowest and the highest value of any, but for one pixel in a thousand of each.
    """

    def look(file: str) -> Range:
        with source.open(file) as content:
            return read_range(content, file)

    results = yield from counted(each(deep, look), "measuring levels", len(deep))
    found = [it for it in results if isinstance(it, Range)]
    low, high = min((it.low for it in found), default=0), max((it.high for it in found), default=DEEPEST)
    floating = all(it.floating for it in found)
    natural = next((white for white in (1, 255) if high <= white), DEEPEST) if floating else DEEPEST
    if (low >= 0 and high <= natural and high - low >= natural / 2) or low >= high:
        return (0, natural), ""
    note = f"pictures of more than 8 bits use {low:g} to {high:g} of {natural:g}: these become black and white; "
    note += f"give levels=full to keep {natural:g} as white, or levels=LOW:HIGH"
    shades = math.ceil(256 * (high - low) / DEEPEST)
    if shades < FEW and any(it.colour for it in found):
        note += f" (of 16-bit colour only the upper 8 bits are read, {shades} shades here: save it in 8 bits for more)"
    return (low, high), note
