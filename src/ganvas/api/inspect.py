"""Look at a data set before training on it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import interpolate

from .. import media
from ..data import Dataset, cache, describe, inspecting
from ..data import Options as ReadOptions
from ..data import Report as Counts
from ..errors import RequestError, entry, writing
from ..progress import Progress, Steps
from ..shown import Shown
from .types import Data, Options, Out
from .verb import Verb

SHOWN, SIDE = 100, 256  # items on the contact sheet, and the most pixels of a side
PAIRS = 20  # near-duplicates shown


@dataclass(eq=False, repr=False)
class Inspection(Shown):
    """A data set, what was counted in it, and a sheet of what it looks like."""

    counts: Counts
    store: Path | None = None  # what it was converted to
    sheet: Path | None = None  # where the contact sheet was written
    pairs: Path | None = None  # where the sheet of near-duplicates was written

    @property
    def dataset(self) -> Dataset:
        """The opened data set."""
        return self.counts.dataset

    @cached_property
    def drawable(self) -> bool:
        """Whether it can be drawn: images, and points in two dimensions."""
        return len(self.dataset.shape) == 3 or self.dataset.shape == (2,)

    def lines(self) -> list[str]:
        """The report in plain words, a fact a line."""
        return self.counts.lines()

    def picture(self) -> Image:
        """A contact sheet of SHOWN items; larger ones are shrunk to SIDE pixels."""
        count = min(SHOWN, len(self.dataset))
        if len(self.dataset.shape) == 1:
            return media.scatter(self.dataset.batch(0, count).x)
        return self._drawn((self.dataset.batch(i, 1).x for i in range(count)), count)

    def near_duplicates(self) -> Image | None:
        """The nearest pairs of items that look nearly the same, side by side; None where there are none."""
        pairs = self.counts.near_duplicates[:PAIRS]
        items = (self.dataset.at(torch.tensor([item])).x for pair in pairs for item in pair[:2])
        return self._drawn(items, 2 * len(pairs), columns=2 * min(4, len(pairs))) if pairs else None

    def _drawn(self, items: Iterable[Tensor], count: int, columns: int | None = None) -> Image:
        shape = self.dataset.shape
        size = [round(side * min(1, SIDE / max(shape[1:]))) for side in shape[1:]]
        sheet = media.Sheet(count, size[0], size[1], columns)
        for item in items:  # one at a time, since they may be large
            sheet.add(interpolate(item, size, mode="area"))
        return sheet.image()

    def save(self, out: Out) -> None:
        """Write the contact sheet, a .png, and where there are near-duplicates NAME-near.png. WorkError where that
        fails.
        """
        self.sheet, pairs = Path(out), self.near_duplicates()
        with writing(out):
            media.save_png(self.picture(), self.sheet)
            if pairs:
                self.pairs = self.sheet.with_name(f"{self.sheet.stem}-near.png")
                media.save_png(pairs, self.pairs)


@dataclass(frozen=True)
class Cleared:
    """What removing the decoded data sets of the cache has freed."""

    freed: int  # bytes
    left: int  # bytes that other processes hold

    def lines(self) -> list[str]:
        """The same in plain words."""
        left = f"; {self.left / 2**20:,.1f} MiB are in use" if self.left else ""
        return [f"cache: {self.freed / 2**20:,.1f} MiB freed in {cache.root()}{left}"]


@Verb
def inspect(
    data: Annotated[
        Data | None, "Name, folder, archive, table, .npz, IDX file or hf:NAME; in Python also arrays."
    ] = None,
    *,
    options: Annotated[
        Options | None, "How it is read, as recipes have it: size, channels, levels, truncated, image, caption."
    ] = None,
    clear_cache: Annotated[bool, "Remove all data sets from the cache, which are decoded again when needed."] = False,
    out: Annotated[Out | None, "Also convert it to a store in this new directory, with a contact sheet."] = None,
    progress: bool = True,
) -> Steps[Inspection | Cleared]:
    """Look at a data set before training on it, and draw a contact sheet."""
    if clear_cache:
        if data is not None:
            raise RequestError("it clears the cache of all data sets", "give no data set with it", field="clear_cache")
        return Cleared(*cache.clear())
    if data is None:
        raise RequestError("there is no data set", "name one, or a folder of pictures", field="data")
    if options and isinstance(data, Dataset):
        raise RequestError("the data set is open already", "give them to `ganvas.open_data`", field="options")
    chosen = reading(options or {})
    counts = yield from describe(data) if isinstance(data, Dataset) else inspecting(data, chosen)
    found = Inspection(counts)
    if out is not None:
        yield Progress("writing the store")
        found.store = Path(found.dataset.save(out))
        if found.drawable:
            found.save(Path(out) / "contact.png")
    return found


def reading(options: Options) -> ReadOptions:
    """The options of a recipe that say how data are read. RequestError for any other, and for impossible values."""
    known: dict[str, object] = {"size": None, "channels": 0, "levels": "auto", "truncated": "skip"}
    known |= {"image": "", "caption": ""}
    for name in options:
        entry("option", name, known, field="options")
    settings = known | dict(options)
    channels = str(settings["channels"]).replace("auto", "0")
    if not channels.isdecimal():
        raise RequestError(f"{channels!r} is not a number", "choose 1, 3 or 4", field="options.channels")
    try:
        return ReadOptions.of(settings | {"channels": int(channels)}, 0)
    except ValueError as error:
        raise RequestError(str(error), field="options.size") from None


def sheet_name(found: Inspection) -> Path:
    """The file of a contact sheet in the current directory."""
    return Path(re.sub(r"[^\w.+-]+", "-", found.dataset.name) + "-contact.png")
