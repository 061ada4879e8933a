"""What a data set contains, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import torch

from ..progress import Steps, counted
from .dataset import Dataset

SHOWN = 5  # unreadable files, and classes, in a line


@dataclass(frozen=True)
class Report:
    """A data set and what was found in it."""

    dataset: Dataset
    duplicates: int  # items that repeat an earlier one exactly
    counts: dict[str, int]  # items of each class

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
        if self.counts:
            some = ", ".join(f"{name} {count:,}" for name, count in list(self.counts.items())[:SHOWN])
            lines.append(f"classes: {len(self.counts)} ({some}{_more(len(self.counts))})")
        if dataset.captions:
            first = next(caption for caption in dataset.captions if caption)
            lines.append(f"captions: {sum(map(bool, dataset.captions)):,}, such as {first!r}")
        if dataset.attributes:
            lines.append(f"attributes: {', '.join(dataset.attributes)}")
        lines.append(f"exact duplicates: {self.duplicates:,}")
        some = ", ".join(f"{file} ({reason})" for file, reason in self.unreadable[:SHOWN])
        lines.append(f"unreadable: {len(self.unreadable):,}" + (some and f": {some}{_more(len(self.unreadable))}"))
        lines.append(f"fingerprint: {dataset.fingerprint}")
        return [_printable(line) for line in lines]


def _printable(line: str) -> str:
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
    return Report(dataset, len(dataset) - len(distinct), counts)
