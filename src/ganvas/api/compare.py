"""Measure objectives against each other."""

from __future__ import annotations

from typing import Annotated

from ..comparison import Comparison, Outcome
from ..progress import Note, Progress, Steps, clock
from .arguments import parse_names
from .types import Data, Device, Names, Options, Out
from .verb import Verb


@Verb
def compare(
    *,
    out: Annotated[Out, "Directory of the runs and results; interrupted comparisons resume."],
    data: Annotated[Data, "Name, folder, archive, table, .npz or hf:NAME; in Python also arrays."] = "ring",
    losses: Annotated[Names, "Objectives separated by commas, or all."] = "all",
    seeds: Annotated[int, "Runs of each objective."] = 3,
    steps: Annotated[int | None, "Of each run; by default 2,000 for points, else the recipe's."] = None,
    recipe: Annotated[str | None, "What all share; by default points or gan, as the data are."] = None,
    samples: Annotated[int | None, "Measured of each run; by default 2,500 or 10,000."] = None,
    metrics: Annotated[Names | None, "Such as fid,pr; by default all that suit the data."] = None,
    device: Annotated[Device | None, "By default cpu for points."] = None,
    jobs: Annotated[int | None, "Runs at a time, one thread each; by default one a core."] = None,
    options: Annotated[Options | None, "Options of the recipe, for all runs."] = None,
    progress: bool = True,
) -> Steps[Comparison]:
    """Measure objectives against each other: the same networks, data and steps for all, several seeds each."""
    comparison = Comparison.begin(
        out,
        data=data,
        losses=",".join(parse_names(losses, "losses")),
        seeds=seeds,
        steps=steps,
        recipe=recipe,
        samples=samples,
        metrics=None if metrics is None else ",".join(parse_names(metrics, "metrics")),
        device=device,
        options=options,
    )
    total = len(comparison.jobs())
    missing = sum((job.objective, job.seed) not in comparison.outcomes for job in comparison.jobs())
    yield Note(f"{total} runs into {comparison.out}, {missing} of them still to train")
    yield Progress("comparing", total - missing, total, saved=comparison.out)
    for done, outcome in enumerate(comparison.play(jobs), total - missing + 1):
        yield Note(f"{done} of {total}  {line(outcome)}")
        yield Progress("comparing", done, total, saved=comparison.out)
    return comparison


def line(outcome: Outcome) -> str:
    """What came of a run, in one line."""
    name = f"{outcome.objective}, seed {outcome.seed}"
    if outcome.failure:
        return f"{name}  failed: {outcome.failure}"
    figures = "  ".join(f"{key} {figure['value']:.4g}" for key, figure in outcome.figures.items())
    found = f"  monitor: {', '.join(outcome.findings)}" if outcome.findings else ""
    return f"{name}  {clock(outcome.seconds)}  {figures}{found}"
