"""How well the monitor tells sick runs from healthy ones: `python -m benchmarks.monitor --out runs/monitor --jobs 16`.

Every case of `benchmarks.cases` is trained as a normal run in OUT/<case>-<seed>/, one thread each. What a run has come
to is decided by figures that the monitor does not use: for mixtures the modes that 2,000 samples reach and the share of
them near any, else the improved precision and recall of items as they are, and for copying the distance of samples to
their nearest item. A run that is neither clearly healthy nor clearly sick counts for nothing, and is listed. A finding
at any time is an alarm. Cases are split by name into a half by which thresholds may be chosen and one held out.

A run that is complete is not trained again; --judge-only judges the logs that there are, after a change of thresholds.
Choose thresholds with --half calibration, which leaves the logs of the other half unread, and judge that half with
seeds that nobody has looked at. Those of seed 0 were, while the monitor was written; of calibration, 1 and 2 too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import CASES, Case
from ganvas import records
from ganvas.comparison.work import end_with_parent
from ganvas.data import Dataset
from ganvas.errors import WorkError
from ganvas.metrics import mode_report, nearest, precision_recall
from ganvas.monitor import judge
from ganvas.run import Run

SAMPLES = range(100_000, 102_000)  # seeds that the monitor never draws
COPY = 0.4  # the closeness of samples that are copies
BOUNDS = {  # below the first a run is sick, from the second on it may be healthy
    "modes": (0.6, 0.85),
    "high_quality": (0.1, 0.3),
    "precision": (0.06, 0.1),
    "recall": (0.06, 0.2),
}
HALVES = ("calibration", "held out")
OUTCOME = "outcome.json"


def train(case: Case, seed: int, out: Path) -> None:
    """Train one case to its end, from wherever an earlier call got, and write what came of it."""
    path = out / f"{case.name}-{seed}"
    if (path / OUTCOME).exists():
        return
    torch.set_num_threads(1)
    if (path / "recipe.json").exists():
        run = Run(path)
    else:
        data = case.prepare(out) if case.prepare else case.data
        run = Run.create(case.recipe, data, out=path, seed=seed, device="cpu", precision="fp32", options=case.options)
    steps = run.advance()
    system, dataset = run._open()
    if case.sabotage:
        case.sabotage(system, dataset)
    try:
        for _ in steps:
            pass
        figures = measure(run, dataset)
    except WorkError as error:  # a loss that is not finite
        figures = {"error": str(error)}
    (path / OUTCOME).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(run: Run, dataset: Dataset) -> dict[str, Any]:
    """Figures of the finished run's samples that owe nothing to the monitor's."""
    fake = run.sample(SAMPLES)
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(1))[: len(SAMPLES)]
    real = dataset.at(order).x
    if dataset.modes is not None:
        report = mode_report(fake, *dataset.modes)
        return {"modes": report.modes / len(dataset.modes.centres), "high_quality": report.high_quality}
    figures: dict[str, Any] = precision_recall(real.flatten(1), fake.flatten(1))._asdict()
    if fake.ndim == 4:
        figures["nearest"] = closeness(real.flatten(1), fake.flatten(1))
    return figures


def closeness(real: Tensor, fake: Tensor) -> float:
    """The median distance of samples to their nearest item, over that of items to their nearest other item."""
    among = nearest(real, real, 2)[0][:, 1].median()
    return (nearest(fake, real)[0][:, 0].median() / among).item()


def state(figures: dict[str, Any]) -> str:
    """`healthy`, `sick` or `unclear`, by the figures of `measure`."""
    if "error" in figures or figures.get("nearest", 1.0) < COPY:
        return "sick"
    if all(figures[name] >= least for name, (_, least) in BOUNDS.items() if name in figures):
        return "healthy"
    return "sick" if any(figures[name] < most for name, (most, _) in BOUNDS.items() if name in figures) else "unclear"


def half(case: str) -> str:
    """Which half a case belongs to, whatever its seed: decided by its name alone."""
    return HALVES[zlib.crc32(case.encode()) % 2]


def rows(out: Path, halves: Sequence[str] = HALVES) -> list[dict[str, Any]]:
    """What each finished run of these halves is, and what the monitor says of it; logs of others are not read."""
    found: list[dict[str, Any]] = []
    for case in (case for case in CASES if half(case.name) in halves):
        for path in sorted(out.glob(f"{case.name}-[0-9]*")):
            if (path / OUTCOME).exists():
                figures = json.loads((path / OUTCOME).read_text(encoding="utf-8"))
                findings = judge(records.read_log(path))
                alarms = {finding.kind: finding.step for finding in findings}
                if "error" in figures:  # training has ended itself, and said so
                    alarms.setdefault("divergence", 0)
                row = {"run": path.name, "sickness": case.sickness, "half": half(case.name), "state": state(figures)}
                found.append(row | {"alarms": alarms, "figures": figures})
    return found


def rates(chosen: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many sick runs were found and how many healthy ones were accused."""
    sick = [row for row in chosen if row["state"] == "sick" and row["sickness"]]
    healthy = [row for row in chosen if row["state"] == "healthy" and not row["sickness"]]
    confusion: dict[str, Counter[str]] = {}
    for row in sick + healthy:
        confusion.setdefault(row["sickness"] or "healthy", Counter()).update(list(row["alarms"]) or ["nothing"])
    return {
        "sick": len(sick),
        "detected": sum(bool(row["alarms"]) for row in sick),
        "healthy": len(healthy),
        "accused": sum(bool(row["alarms"]) for row in healthy),
        "unclear": sorted(row["run"] for row in chosen if row not in sick and row not in healthy),
        "missed": sorted(row["run"] for row in sick if not row["alarms"]),
        "false alarms": sorted(row["run"] for row in healthy if row["alarms"]),
        "confusion": {kind: dict(counts) for kind, counts in sorted(confusion.items())},
    }


def report(out: Path, halves: Sequence[str] = HALVES) -> None:
    """Print the rates of these halves, and write them with every run to OUT/monitor.json."""
    found = rows(out, halves)
    summary = {name: rates([row for row in found if row["half"] == name]) for name in halves}
    for name, figures in summary.items():
        print(f"{name}: {figures['detected']} of {figures['sick']} sick runs detected, ", end="")
        print(f"{figures['accused']} of {figures['healthy']} healthy runs accused, {len(figures['unclear'])} unclear")
        for kind, counts in figures["confusion"].items():
            print(f"  {kind:20} {', '.join(f'{alarm} {count}' for alarm, count in counts.items())}")
        for key in ("missed", "false alarms", "unclear"):
            print(f"  {key}: {', '.join(figures[key]) or 'none'}")
    (out / "monitor.json").write_text(json.dumps({**summary, "runs": found}, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is not trained yet, then judge everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/monitor"), help="directory of the runs (runs/monitor)")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one thread each (1)")
    parser.add_argument("--seeds", default="1,2", help="of each case, separated by commas (1,2)")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--half", choices=HALVES, help="train and judge this half alone")
    parser.add_argument("--judge-only", action="store_true", help="judge the logs that there are")
    options = parser.parse_args(arguments)
    halves = (options.half,) if options.half else HALVES
    if not options.judge_only:
        options.out.mkdir(parents=True, exist_ok=True)
        chosen = [case for case in CASES if options.only in case.name and half(case.name) in halves]
        work = [(case.name, seed, options.out) for seed in map(int, options.seeds.split(",")) for case in chosen]
        with multiprocessing.get_context("spawn").Pool(options.jobs, end_with_parent, maxtasksperchild=1) as pool:
            for name in pool.imap_unordered(work_on, work):
                print(f"{name} is done", flush=True)
    report(options.out, halves)


def work_on(work: tuple[str, int, Path]) -> str:
    """`train` by the case's name, in a worker."""
    name, seed, out = work
    train(next(case for case in CASES if case.name == name), seed, out)
    return f"{name}-{seed}"


if __name__ == "__main__":
    main()
