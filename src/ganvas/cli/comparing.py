"""`ganvas compare`: shows the runs as they end, then the table."""

from __future__ import annotations

from ..comparison import Comparison, Outcome
from ..run.progress import clock


def follow_comparison(comparison: Comparison, jobs: int | None) -> None:
    """Train and measure what is missing, a line a run, then say where the results lie."""
    whole = len(comparison.jobs())
    missing = sum((job.objective, job.seed) not in comparison.outcomes for job in comparison.jobs())
    print(f"{whole} runs into {comparison.out}, {missing} of them still to train")
    for i, outcome in enumerate(comparison.play(jobs), whole - missing + 1):
        print(f"{i} of {whole}  {line(outcome)}", flush=True)
    print(f"\n{(comparison.out / 'compare.md').read_text(encoding='utf-8')}")
    print(f"the page: {comparison.out / 'compare.html'}")


def line(outcome: Outcome) -> str:
    """What came of a run, in one line."""
    name = f"{outcome.objective}, seed {outcome.seed}"
    if outcome.failure:
        return f"{name}  failed: {outcome.failure}"
    figures = "  ".join(f"{key} {figure['value']:.4g}" for key, figure in outcome.figures.items())
    found = f"  monitor: {', '.join(outcome.findings)}" if outcome.findings else ""
    return f"{name}  {clock(outcome.seconds)}  {figures}{found}"
