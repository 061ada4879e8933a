"""From a handful of pictures to a measured, steerable generative model, on the computer you have.

    import ganvas

    run = ganvas.train("dcgan", "fashion-mnist", steps=2000)
    images = run.sample(seeds=range(64))  # (64, 1, 28, 28) in [-1, 1]

What is heavy is imported when it is first used.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import RequestError, WorkError

if TYPE_CHECKING:
    from .data import open_data
    from .evaluation import Evaluation, evaluate
    from .frozen import Autoencoder, Classifier, Clip, TrainedGenerator, load
    from .run import Run
    from .run.budget import Progress

    __version__: str

__all__ = [
    "Autoencoder",
    "Classifier",
    "Clip",
    "Evaluation",
    "RequestError",
    "Run",
    "TrainedGenerator",
    "WorkError",
    "__version__",
    "evaluate",
    "load",
    "open_data",
    "resume",
    "train",
]

_LAZY = {
    **dict.fromkeys(("Autoencoder", "Classifier", "Clip", "TrainedGenerator", "load"), "frozen"),
    **{"Evaluation": "evaluation", "Run": "run", "evaluate": "evaluation", "open_data": "data"},
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("ganvas")
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def train(
    recipe: str = "gan",
    data: str | None = None,
    *,
    out: str | Path | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    options: Mapping[str, object] | None = None,
    on_collapse: str = "warn",
    overwrite: bool = False,
    progress: bool = True,
) -> Run:
    """Train a recipe on a data set and return the finished run.

    `data` is by default the recipe's own; `out` the first free `runs/<recipe>-<data>`. Training ends after `steps` (by
    default the recipe's) or `minutes`. `options` are the recipe's, such as `{"lr": 1e-4}`: `ganvas recipes NAME` lists
    them. `on_collapse` is what happens when the monitor finds something wrong: "warn", "stop", or "rollback" to the
    best checkpoint with halved learning rates, at most three times. `overwrite` replaces a run at `out`; `progress`
    shows a bar on a terminal and lines elsewhere.

    Raises RequestError, before anything is written, where the request is wrong; WorkError where the work fails, and
    KeyboardInterrupt after Ctrl-C, both of which leave a run that `resume` goes on with.
    """
    from .run import Run

    run = Run.create(
        recipe,
        data,
        out=out,
        steps=steps,
        minutes=minutes,
        batch=batch,
        seed=seed,
        device=device,
        precision=precision,
        options=options,
        on_collapse=on_collapse,
        overwrite=overwrite,
    )
    return _advance(run, run.advance(), progress)


def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    on_collapse: str | None = None,
    progress: bool = True,
) -> Run:
    """Go on with a run from its newest checkpoint, to its own end or to another: `steps` or `minutes` in all.

    Raises RequestError where `path` is not a run or its data has changed; for the rest see `train`.
    """
    from .run import Run

    run = Run(path)
    return _advance(run, run.advance(steps, minutes, on_collapse), progress)


def _advance(run: Run, ticks: Generator[Progress, None, None], progress: bool) -> Run:
    if progress:
        from .run.progress import follow

        follow(ticks)
    else:
        for _ in ticks:
            pass
    return run
