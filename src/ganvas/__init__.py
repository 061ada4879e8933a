"""From a handful of pictures to a measured, steerable generative model, on the computer you have.

    import ganvas

    run = ganvas.train("dcgan", "fashion-mnist", steps=2000)
    ganvas.sample(run, seeds="0-63").save("grid.png")
    ganvas.walk(run, seeds="0,7,42")  # a film, which a notebook shows

Every command of the command line is a function here, with the same arguments and the same result. What is heavy is
imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import RequestError, WorkError
from .openmp import shorten_spinning

if TYPE_CHECKING:
    from .api.breed import breed
    from .api.classify import classify
    from .api.compare import compare
    from .api.describe import describe
    from .api.directions import directions
    from .api.doctor import doctor
    from .api.edit import edit
    from .api.evaluate import evaluate
    from .api.export import export
    from .api.inspect import inspect
    from .api.paint import paint
    from .api.project import project
    from .api.reconstruct import reconstruct
    from .api.report import report
    from .api.resume import resume
    from .api.sample import sample
    from .api.search import search
    from .api.train import train
    from .api.walk import walk
    from .comparison import Comparison
    from .data import open_data
    from .evaluation import Evaluation
    from .frozen import Autoencoder, Classifier, Clip, TrainedGenerator, load
    from .run import Run

    __version__: str

shorten_spinning()  # before torch is loaded

__all__ = ["breed", "classify", "compare", "describe", "directions", "doctor", "edit", "evaluate", "export", "inspect"]
__all__ += ["paint", "project", "reconstruct", "report", "resume", "sample", "search", "train", "walk"]
_VERBS = tuple(__all__)
_HOMES = {
    **dict.fromkeys(("Autoencoder", "Classifier", "Clip", "TrainedGenerator", "load"), "frozen"),
    **{"Comparison": "comparison", "Evaluation": "evaluation", "Run": "run", "open_data": "data"},
}
__all__ += ["Autoencoder", "Classifier", "Clip", "Comparison", "Evaluation", "RequestError", "Run", "TrainedGenerator"]
__all__ += ["WorkError", "__version__", "load", "open_data"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("ganvas")
    if name in _VERBS:
        from .api.verb import Verb

        Verb.watch = staticmethod(_watched)
        return getattr(import_module(f".api.{name}", __name__), name)
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def _watched(steps: Any) -> Any:
    """Run a verb under a progress bar."""
    from .cli.bars import watch

    return watch(steps)
