"""How many of Stacked-MNIST's 1,000 modes DCGAN reaches, alone and packed: `python -m benchmarks.stacked_mnist`.

After Table 2 of PacGAN (Lin et al. 2018, arXiv 1712.04086), which takes VEEGAN's experiment: batches of 64 packs of m
pictures, Adam with rate 2e-4 and β₁ 0.5, two generator steps after one of the critic, 50 epochs of 2,000 critic steps;
26,000 samples, whose channels a classifier of MNIST reads. Differences: our `dcgan` has two convolutions that double
the picture where theirs has four, z is normal where theirs is uniform, and the classifier is ours. The published
figures are therefore only a landmark: compare PacDCGAN with our own DCGAN.

Needs MNIST and its classifier (`ganvas train cnn mnist`, or the one that comes with ganvas). Interrupted runs resume;
complete ones are measured again, not trained.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.pacgan_table import mean_error
from ganvas import data, features, files
from ganvas.comparison.work import Job, Outcome, work_through

PACKS = 64  # a step
FIGURES = (("modes", 1), ("reverse_kl", 3))  # and the decimals printed of each
# Table 2: modes of 1,000 and reverse KL, each with its standard error over ten trials.
PUBLISHED = {
    1: ("78.9 ± 6.46", "4.50 ± 0.127"),
    2: ("1000.0 ± 0.00", "0.06 ± 0.003"),
    3: ("1000.0 ± 0.00", "0.06 ± 0.003"),
    4: ("1000.0 ± 0.00", "0.07 ± 0.005"),
}


def job(pack: int, trial: int, steps: int, samples: int, device: str, out: Path) -> Job:
    """One run. A critic step and two of the generator take two of the loop's steps; both share the first."""
    options: dict[str, object] = {
        "pack": pack,
        "batch": PACKS * pack,
        "generator_steps": 2,
        "sample_every": max(1, steps // 5),
        "checkpoint_every": 2000,
    }
    path = out / f"pack-{pack}-{trial}"
    return Job("ns", trial, path, "dcgan", "stacked-mnist", options, 2 * steps, device, samples, ["modes"])


def table(outcomes: dict[int, list[Outcome]], steps: int) -> str:
    """Ours next to the published figures; failures are counted."""
    lines = [
        "| | critic steps | trials | failed | modes of 1,000 | published | reverse KL | published |",
        "|" + "---|" * 8,
    ]
    for pack, found in outcomes.items():
        well = [outcome.figures for outcome in found if not outcome.failure]
        ours = [mean_error([f[name]["value"] for f in well], d) if well else "" for name, d in FIGURES]
        pairs = [cell for pair in zip(ours, PUBLISHED[pack], strict=True) for cell in pair]
        title = f"PacDCGAN{pack}" if pack > 1 else "DCGAN"
        cells = [title, f"{steps:,}", str(len(found)), str(len(found) - len(well)), *pairs]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, train what is missing, measure everything, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", default="1,2,3,4", help="separated by commas (1,2,3,4)")
    parser.add_argument("--trials", type=int, default=10, help="of each (10)")
    parser.add_argument("--steps", type=int, default=100_000, help="critic steps of each (100,000, as published)")
    parser.add_argument("--samples", type=int, default=26_000, help="that are counted (26,000)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time, one thread each (the cores)")
    parser.add_argument("--out", type=Path, default=Path("runs/stacked-mnist"), help="directory of runs and results")
    o = parser.parse_args(arguments)
    features.open_features("cnn-mnist")  # report what is missing now, not after hours of training
    data.open_data("stacked-mnist")
    outcomes: dict[int, list[Outcome]] = {}
    for pack in map(int, o.packs.split(",")):
        outcomes[pack] = []
        jobs = [job(pack, trial, o.steps, o.samples, o.device, o.out) for trial in range(o.trials)]
        for outcome in work_through(jobs, o.jobs):
            outcomes[pack].append(outcome)
            text = outcome.failure or {name: round(f["value"], 3) for name, f in outcome.figures.items()}
            print(f"pack {pack}, trial {outcome.seed}: {text}", flush=True)
    print(table(outcomes, o.steps))
    rows = {str(pack): [outcome.to_json() for outcome in found] for pack, found in outcomes.items()}
    files.write(o.out / "stacked-mnist.json", (json.dumps(rows, indent=1) + "\n").encode())
    files.write(o.out / "stacked-mnist.md", (table(outcomes, o.steps) + "\n").encode())


if __name__ == "__main__":
    main()
