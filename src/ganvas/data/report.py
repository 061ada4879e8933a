"""What a data set contains, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import torch

from ..progress import Steps, counted
from .dataset import Dataset
from .near import MOST, Pair, near_duplicates

SHOWN = 5  # unreadable files, and classes, in a line
NAMES = 12  # attributes in a line
IMBALANCE = 10  # times as many items as the smallest class has are said


@dataclass(frozen=True)
class Report:
    """A data set and what was found in it."""

    dataset: Dataset
    duplicates: int  # items that repeat an earlier one exactly
    counts: dict[str, int]  # items of each class
    near_duplicates: tuple[Pair, ...] = ()  # items that look nearly like others, the nearest pairs first

    @property
    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """(file, reason) of each file that was skipped."""
        return self.dataset.origin.unreadable

    def lines(self) -> list[str]:
        """The report in plain words, one fact a line."""
        dataset, origin = self.dataset, self.dataset.origin
        form = "x".join(str(length) for length in dataset.shape)
        kind = "points of dimension" if len(dataset.shape) == 1 else "images"
        lines = [f"{dataset.name}: {len(dataset):,} {kind} {form}, {dataset.items.nbytes / 2**20:.1f} MiB"]
        if origin.place:
            lines.append(f"from: {origin.place}")
        if origin.smallest and origin.largest:
            (w, h), (width, height) = origin.smallest, origin.largest
            lines.append(f"sizes found: {w}x{h} to {width}x{height}")
        if origin.splits:
            lines.append(f"splits: {', '.join(f'{split} {count:,}' for split, count in origin.splits)}")
        if origin.levels not in ("", "full"):
            lines.append(f"levels: {origin.levels}")
        lines += [*self._words(), f"exact duplicates: {self.duplicates:,}"]
        if self.near_duplicates:
            items = len({item for pair in self.near_duplicates for item in pair[:2]})
            least = "at least " if len(self.near_duplicates) >= MOST else ""
            pairs = f"{len(self.near_duplicates):,} pair{'s' * (len(self.near_duplicates) > 1)}"
            lines.append(f"near-duplicates: {least}{pairs}, of {items:,} items")
        some = ", ".join(f"{file} ({reason})" for file, reason in self.unreadable[:SHOWN])
        lines.append(f"unreadable: {len(self.unreadable):,}" + (some and f": {some}{_more(len(self.unreadable))}"))
        lines += [f"note: {note}" for note in origin.notes]
        lines.append(f"fingerprint: {dataset.fingerprint}")
        return [printable(line) for line in lines]

    def _words(self) -> list[str]:
        """Classes, captions and attributes."""
        lines, dataset = [], self.dataset
        if self.counts:
            some = ", ".join(f"{name} {count:,}" for name, count in list(self.counts.items())[:SHOWN])
            lines.append(f"classes: {len(self.counts)} ({some}{_more(len(self.counts))})")
        kinds = sorted((count, name) for name, count in self.counts.items() if count)
        if kinds and kinds[-1][0] > IMBALANCE * kinds[0][0]:
            (least, rare), (most, common) = kinds[0], kinds[-1]
            times = f"{most // least:,} times as many items as {rare!r} ({most:,} and {least:,})"
            lines.append(f"imbalance: {common!r} has {times}: samples of rare classes are poorer")
        if empty := [name for name, count in self.counts.items() if not count]:
            lines.append(f"classes without items here: {', '.join(empty[:SHOWN])}{_more(len(empty))}")
        if dataset.captions:
            some = [caption for caption in dict.fromkeys(dataset.captions) if caption][:2]
            lines.append(f"captions: {sum(map(bool, dataset.captions)):,}, such as {' and '.join(map(repr, some))}")
        if dataset.attributes:
            names = list(dataset.attributes)
            rest = f" and {len(names) - NAMES:,} more" if len(names) > NAMES else ""
            lines.append(f"attributes: {', '.join(names[:NAMES])}{rest}")
        return lines


def printable(line: str) -> str:
    """The line with control characters escaped: names of files must not end it or control the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _more(count: int) -> str:
    return f" and {count - SHOWN:,} more" if count > SHOWN else ""


def describe(dataset: Dataset) -> Steps[Report]:
    """Count what an opened data set contains."""
    digests = (blake2b(item.contiguous().numpy().data, digest_size=16).digest() for item in dataset.items)
    distinct = set((yield from counted(digests, "looking for duplicates", len(dataset))))
    counts: dict[str, int] = {}
    if dataset.labels is not None:
        found = torch.bincount(dataset.labels, minlength=dataset.classes).tolist()
        counts = dict(zip(dataset.class_names, found, strict=True))
    near = yield from near_duplicates(dataset)
    return Report(dataset, len(dataset) - len(distinct), counts, tuple(near))
