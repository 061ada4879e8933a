"""Measure samples against real items."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from torch import Tensor

from ..data import Dataset
from ..errors import WorkError
from ..evaluation import Evaluation, evaluating
from ..files import METRICS, RECORD
from ..frozen import TrainedGenerator
from ..frozen.opening import path_of
from ..progress import Note, Steps
from ..reports import attempt_report
from .arguments import parse_names
from .sample import Samples
from .types import Data, Device, Names, Out, RunPath
from .verb import Verb

Source = RunPath | TrainedGenerator | Samples | Dataset | Tensor  # a run, a file, or samples


@Verb
def evaluate(
    source: Annotated[Source, "A run, its checkpoints/best, a generator.safetensors, or samples."],
    data: Annotated[Data | None, "What samples should be like; by default what the run had."] = None,
    *,
    metrics: Annotated[Names | None, "Such as fid,kid,pr; by default all but ppl."] = None,
    features: Annotated[str, "auto, pixels, inception, dino, or the run of a classifier."] = "auto",
    samples: Annotated[int, "How many samples, at most."] = 10_000,
    seed: Annotated[int, "Of the samples and of every random choice."] = 0,
    device: Device = "auto",
    json: Annotated[Out | None, "Also write the figures and their protocol to this file."] = None,
    progress: bool = True,
) -> Steps[Evaluation]:
    """Measure samples against real items: quality, variety, copies; a run keeps the outcome in its metrics.json.

    `source` may also be samples in memory: images (N, C, H, W) in [-1, 1] or points (N, D), or the result of `sample`.
    """
    asked = None if metrics is None else parse_names(metrics, "metrics")
    path = path_of(source)
    judged = source.images if isinstance(source, Samples) else path or source
    found = yield from evaluating(
        judged,  # pyright: ignore[reportArgumentType] - a Run has a path
        data,
        metrics=asked,
        features=features,
        samples=samples,
        seed=seed,
        device=device,
    )
    for file in destinations(path, json):
        try:
            found.save(file)
        except WorkError:  # which must not lose what took so long
            yield Note("  ".join(f"{name} {figure.value:.4g}" for name, figure in found.figures.items()))
            raise
    if path is not None and (path / RECORD).is_file():
        attempt_report(path)
    return found


def destinations(source: Source | None, json: Out | None) -> list[Path]:
    """The files that the outcome is written to: what was asked for first, since the run may be somebody else's."""
    run = path_of(source)
    own = [run / METRICS] if run is not None and (run / RECORD).is_file() else []
    return [*([Path(json)] if json else []), *own]
