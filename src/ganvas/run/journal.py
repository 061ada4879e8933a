"""What a run writes down while it trains: `log.jsonl`, and the same for TensorBoard."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from .. import files, records
from ..monitor import Finding
from ..types import Stats


class Journal:
    """Gathers the statistics of steps, and writes their means at the logging steps.

    Speed is measured over training alone: the clock runs from `resume` to `pause`, and what is drawn, saved or done by
    the caller meanwhile does not count.
    """

    def __init__(self, folder: Path, step: int, sums: Mapping[str, tuple[float, int]]) -> None:
        """Continue after `step` with the sums of that moment: what a run logged beyond it is cut off."""
        self.path = folder / files.LOG
        self.lines = [line for line in records.read_log(folder) if line["step"] <= step]
        files.write(self.path, "".join(json.dumps(line) + "\n" for line in self.lines).encode())
        self.board = SummaryWriter(str(folder), purge_step=step + 1)
        self.clear()
        self.sums: dict[str, tuple[Tensor | float, int]] = dict(sums)
        self.resume()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.board.close()

    def clear(self) -> None:
        self.sums = {}
        self.items, self.busy = 0, 0.0

    def resume(self) -> None:
        self.since = time.perf_counter()

    def pause(self) -> None:
        self.busy += time.perf_counter() - self.since

    def add(self, stats: Stats, items: int) -> None:
        """Count one step over `items` items. Reads no number, since the device may still be computing it."""
        for name, value in stats.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (value.detach().float() + total, count + 1)
        self.items += items

    def means(self) -> dict[str, float]:
        """The mean of each statistic since the last line, over the steps that report it; waits for the device."""
        return {name: total / count for name, (total, count) in self.pending().items()}

    def pending(self) -> dict[str, tuple[float, int]]:
        """The sums since the last line, fit for JSON: with them a resumed run logs the very means of one left alone."""
        return {name: (float(total), count) for name, (total, count) in self.sums.items()}

    def write(
        self, step: int, seconds: float, means: dict[str, float], findings: Sequence[Finding] = (), clear: bool = True
    ) -> float:
        """Write the line of a logging step; gives the items a second since the last one, while training.

        A line out of turn, at the end of the budget, does not `clear` the sums: the next line counts its steps too.
        """
        speed = self.items / self.busy
        figures = {"seconds": round(seconds, 3), "images_per_second": round(speed, 1), **means}
        line: dict[str, Any] = {"step": step, **figures}
        if findings:
            line["findings"] = [{"kind": f.kind, "meaning": f.meaning, "advice": f.advice} for f in findings]
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in figures.items():
            self.board.add_scalar(name, value, step)
        for finding in findings:
            self.board.add_text(f"finding/{finding.kind}", f"{finding.meaning} {finding.advice}", step)
        self.board.flush()
        if clear:
            self.clear()
        return speed

    def picture(self, step: int, image: Image.Image) -> None:
        """Show a sample grid in TensorBoard."""
        self.board.add_image("samples", np.asarray(image), step, dataformats="HWC")
