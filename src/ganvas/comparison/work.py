"""One run of a comparison: trained and measured in a worker process, which has one thread."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from .. import files
from ..data import open_data
from ..errors import RequestError, WorkError
from ..evaluation import evaluate
from ..reports import attempt_report
from ..run import Run

cancelled: Event | None = None  # in a worker: set when its run is no longer wanted


@dataclass(frozen=True)
class Job:
    """What a worker is to do."""

    objective: str
    seed: int
    path: Path  # of the run directory
    recipe: str
    data: str
    options: dict[str, object]  # in addition to the objective
    steps: int
    device: str
    samples: int  # to measure
    metrics: list[str] | None  # as `evaluate` takes them


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run."""

    objective: str
    seed: int
    seconds: float = 0.0  # of training
    failure: str = ""  # why there are no figures; "" where there are
    findings: list[str] = field(default_factory=list)  # the kinds of what the monitor found
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)  # by name, as `evaluate.Figure` has them

    def to_json(self) -> dict[str, Any]:
        """For compare.json."""
        return asdict(self)


def train_and_measure(job: Job) -> Outcome:
    """Train the run to its end, from wherever it stands, and evaluate it.

    A run that diverges, and an objective that the options forbid, is an outcome: a failure with its reason. Other
    errors are raised: WorkError for a full disk and the like, RequestError where something is missing.
    """
    try:
        run = opened(job)
    except RequestError as error:
        if job.path.exists():  # something else is there
            raise
        open_data(job.data)  # raises if the data are missing
        return Outcome(job.objective, job.seed, failure=str(error))
    try:
        steps = run.advance()
        for _ in steps:
            if cancelled is not None and cancelled.is_set():
                steps.close()  # which saves
                raise KeyboardInterrupt
        figures = measure(job)
    except WorkError as error:
        if isinstance(error.__cause__, OSError):
            raise
        return Outcome(job.objective, job.seed, run.seconds, str(error), findings(run))
    attempt_report(job.path)
    return Outcome(job.objective, job.seed, run.seconds, "", findings(run), figures)


def findings(run: Run) -> list[str]:
    """The kinds of what the monitor found in a run."""
    return [finding["kind"] for line in run.log for finding in line.get("findings", ())]


def measure(job: Job) -> dict[str, dict[str, Any]]:
    """The figures of a trained run, also written as its metrics.json."""
    found = evaluate(job.path, metrics=job.metrics, samples=job.samples, device=job.device)
    found.save(job.path / files.METRICS)
    return {name: figure._asdict() for name, figure in found.figures.items()}


def opened(job: Job) -> Run:
    """The run of a job: the one that has begun, or a new one."""
    if (job.path / files.RECORD).exists():
        return Run(job.path)
    return Run.create(
        job.recipe,
        job.data,
        out=job.path,
        steps=job.steps,
        seed=job.seed,
        device=job.device,
        precision="fp32",  # a choice by measuring could differ between runs
        options={**job.options, "objective": job.objective, "penalty": "auto", "penalty_every": 1},
    )


def end_with_parent() -> None:
    """End this worker as soon as its parent process has ended, even if that was killed."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)  # what a run has saved is whole at any moment

    Thread(target=watch, daemon=True).start()


def prepare(event: Event) -> None:
    """Set up a worker: many share the cores, and warnings of several runs on one terminal are noise."""
    global cancelled
    cancelled = event
    end_with_parent()
    torch.set_num_threads(1)
    logging.getLogger("ganvas").setLevel(logging.ERROR)  # what the monitor finds is in the outcome


def work_through(jobs: Iterable[Job], workers: int) -> Iterator[Outcome]:
    """The outcomes of jobs as they come, from `workers` processes at once.

    Each process has one job at a time. Ctrl-C reaches every process of a terminal, and each saves its run after the
    current step. Closing the iterator does the same.
    """
    left, context = iter(jobs), get_context("spawn")
    event = context.Event()
    with ProcessPoolExecutor(workers, context, prepare, (event,)) as pool:
        running: set[Future[Outcome]] = {pool.submit(train_and_measure, job) for job in islice(left, workers)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
                running |= {pool.submit(train_and_measure, job) for job in islice(left, len(done))}
        finally:
            event.set()
