"""How quickly a folder of pictures is read, against a torch DataLoader over Pillow with two workers.

python -m benchmarks.reading FOLDER [ROUNDS]   both in turn, in one run; ganvas with an empty cache each time

With OMP_NUM_THREADS=1. Ours decodes, writes and fingerprints a set that it never decodes again; theirs decodes once.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Data

from ganvas.data import opening


class Files(Data[Tensor]):
    """The pictures of a folder, as tutorials read them."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(str(file) for file in folder.rglob("*.png"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> Tensor:
        return torch.from_numpy(np.array(Image.open(self.files[i]).convert("RGB"))).permute(2, 0, 1)


def cpu() -> float:
    """Seconds of a core used so far by this process and by those that have ended, whatever else the machine does."""
    return sum(os.times()[:4])


def theirs(folder: Path) -> float:
    """Seconds of one epoch."""
    start = perf_counter()
    for _ in DataLoader(Files(folder), batch_size=64, num_workers=2):
        pass
    return perf_counter() - start


def anonymous() -> int:
    """MiB of memory that belong to this process alone: without files that are mapped."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["RssAnon"].split()[0]) // 1024


def ours(folder: Path) -> tuple[float, float, int, int]:
    """Seconds of the first opening, seconds of the second, MiB before, and the most MiB meanwhile."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["GANVAS_CACHE"] = cache
        before = most = anonymous()
        start = perf_counter()
        for done, _ in enumerate(opening(str(folder))):
            if done % 500 == 0:
                most = max(most, anonymous())
        first, start = perf_counter() - start, perf_counter()
        for _ in opening(str(folder)):
            pass
        return first, perf_counter() - start, before, max(most, anonymous())


def main() -> None:
    """Print a line for each round, then the median ratio."""
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    count, ratios = len(Files(folder)), []
    for _ in range(rounds):
        start = cpu()
        first, second, before, most = ours(folder)
        middle = cpu()
        other = theirs(folder)
        work = [1e6 * seconds / count for seconds in (middle - start, cpu() - middle)]
        ratios.append(other / first)
        print(
            f"{count:,} pictures: ganvas {count / first:,.0f}/s, DataLoader {count / other:,.0f}/s, "
            f"ratio {ratios[-1]:.2f}; {work[0]:.0f} and {work[1]:.0f} µs of a core each; "
            f"opened again in {second:.2f} s; memory {before} to {most} MiB",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
