"""The pictures of a whole source, decoded into one array on the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..progress import Progress, Steps
from ..sizes import Size
from .cache import partial
from .dataset import Origin
from .decode import TRUNCATED, Form
from .journal import Journal
from .notes import cut_off, enlarged
from .options import DataError, Options
from .pool import Source, batches
from .survey import Survey, surveying
from .worker import Found

KEPT = np.dtype([("width", "i4"), ("height", "i4"), ("grey", "?"), ("transparent", "?"), ("truncated", "?")])


class Decoded(NamedTuple):
    """What could be decoded."""

    items: Tensor  # (N, C, H, W) uint8, memory-mapped
    files: list[str]  # of the items
    origin: Origin


class Findings:
    """What was found in the files so far; a few bytes each, since there may be many."""

    def __init__(self, files: list[str]) -> None:
        self.files, self.seen, self.unreadable = files, 0, []
        self._kept, self._rows = np.zeros(len(files), KEPT), np.zeros(len(files), bool)

    def add(self, found: Iterable[Found]) -> None:
        """Of the next files."""
        for it in found:
            if isinstance(it, str):
                self.unreadable.append((self.files[self.seen], it))
            else:
                self._kept[self.seen], self._rows[self.seen] = it, True
            self.seen += 1

    @property
    def kept(self) -> np.ndarray:
        """KEPT of each file that could be decoded."""
        return self._kept[self._rows]

    @property
    def names(self) -> list[str]:
        """These files."""
        return [file for file, row in zip(self.files, self._rows.tolist(), strict=True) if row]


def decoding(source: Source, files: list[str], options: Options, key: str = "") -> Steps[Decoded]:
    """Decode files of a source in the form that the options and a sample of them choose.

    key: that of `store.cached` in which this runs: killed work then resumes where it was.
    What cannot be decoded is left out, and named in `origin`; DataError if that is all. `origin.notes` says what was
    chosen and what was lost.
    """
    journal, findings = Journal(partial(key) if key else None), Findings(files)
    try:
        survey = _remembered(journal.first(), len(files))
        if survey is None:
            survey = yield from surveying(source, files, options)
            journal.begin({"files": len(files), "survey": survey})
        form = survey.form
        shape = form.channels, form.size.height, form.size.width
        for found in journal.done(shape):
            findings.add(found)
        for batch in batches(source, files[findings.seen :], form):
            journal.add(batch)
            findings.add(batch.found)
            for done in range(findings.seen - len(batch.found), findings.seen):
                yield Progress("reading files", done + 1, len(files))
        kept = findings.kept
        if not len(kept):
            first = ": ".join(findings.unreadable[0])
            problem = f"none of the {len(files)} images of {source.place} can be decoded ({first})"
            raise DataError(problem, "replace them or give another folder")
        grey = options.channels is None and form.channels == 3 and kept["grey"].all()
        items = torch.from_numpy(journal.finish(shape, 1 if grey else form.channels))
    finally:
        journal.close()
    return Decoded(items, findings.names, _origin(source, findings, survey, options))


def _remembered(first: dict | None, count: int) -> Survey | None:
    """The survey of an earlier start, of which JSON has made lists."""
    if not isinstance(first, dict) or first.get("files") != count:
        return None
    (size, channels, levels, keep), notes = first["survey"]
    return Survey(Form(Size(*size), channels, levels and tuple(levels), keep), tuple(notes))


def _origin(source: Source, findings: Findings, survey: Survey, options: Options) -> Origin:
    by_area = sorted(zip(*(findings.kept[side].tolist() for side in ("width", "height")), strict=True), key=prod)
    size = survey.form.size
    notes = (*cut_off(by_area, size), *enlarged(by_area, size), *survey.notes, *_notes(findings, survey.form, options))
    levels = "{}:{}".format(*survey.form.levels) if survey.form.levels else "full"
    return Origin(source.place, tuple(findings.unreadable), by_area[0], by_area[-1], notes, levels=levels)


def _notes(findings: Findings, form: Form, options: Options) -> Iterator[str]:
    kept = findings.kept
    transparent = int(kept["transparent"].sum())
    share = f"{transparent:,} of {len(kept):,} pictures"
    if form.channels == 4 and options.channels is None:
        yield f"{share} are transparent somewhere, so alpha is a fourth channel: channels=3 lays them on white"
    elif form.channels < 4 and transparent:
        yield f"{share} are transparent somewhere and laid on white: channels=4 keeps their transparency"
    if truncated := int(kept["truncated"].sum()):
        yield f"{truncated:,} JPEG files lack their last bytes, which are grey: truncated=skip leaves them out"
    if lost := sum(reason == TRUNCATED for _, reason in findings.unreadable):
        yield f"{lost:,} JPEG files lack their last bytes and are left out: truncated=keep decodes what is there"
