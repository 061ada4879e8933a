"""The loss table, measured: several objectives, several seeds each, everything else the same for all.

Every run is a normal run directory, `OUT/<objective>-<seed>/`. `compare.json` holds the protocol and the outcome of
every run so far; interrupted comparisons resume from it.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from .. import files, recipes, records
from ..data import Dataset, Options, Source, lasting, open_data, opening
from ..errors import RequestError, WorkError, unknown
from ..evaluation.extraction import open_networks
from ..evaluation.figures import available
from ..evaluation.protocol import add_classifier, select
from ..features import lpips
from ..objectives import ADVERSARIAL
from ..progress import drain
from ..recipes.conditional import Conditional
from .page import TABLES, write_results
from .work import Job, Outcome, work_through

STATE, KEPT = "compare.json", "data"  # of the comparison, and the store of data that came from memory
GROWS = ("objectives", "seeds")  # a later call may ask for more of these; the rest of the protocol is fixed
ARGUMENTS = ("data", "steps")  # not options here
VARIED = {"objective", "penalty", "penalty_every", "critic_steps", "clip"}  # set by the objectives and their papers
POINT_STEPS, POINT_SAMPLES, SAMPLES = 2000, 2500, 10_000


@dataclass(frozen=True)
class Comparison:
    """A comparison in a directory. `begin` makes or reopens one, `play` trains what is missing and yields outcomes."""

    out: Path
    protocol: dict[str, Any]  # everything that was equal, JSON-able
    outcomes: dict[tuple[str, int], Outcome]  # by (objective, seed)

    @property
    def markdown(self) -> str:
        """The tables that `compare.md` holds."""
        return (self.out / TABLES).read_text(encoding="utf-8")

    def _repr_markdown_(self) -> str:
        return self.markdown

    @classmethod
    def begin(
        cls,
        out: str | Path,
        *,
        data: Source = "ring",
        losses: str = "all",
        seeds: int = 3,
        steps: int | None = None,
        recipe: str | None = None,
        samples: int | None = None,
        metrics: str | None = None,
        device: str | None = None,
        options: Mapping[str, object] | None = None,
    ) -> Comparison:
        """A new comparison in the directory `out`, or the one that it holds already.

        Args:
            data: what the runs learn; what comes from memory is kept in the directory.
            losses: objectives separated by commas, or "all".
            seeds: how many runs an objective gets, with the seeds 0, 1, ….
            steps: of each run; by default 2,000 for points, for images the recipe's.
            recipe: what the runs share; by default "points" for points, "gan" for images.
            samples: measured of each run; by default 2,500 points or 10,000 images.
            metrics: separated by commas, as `evaluate` names them; by default all that suit the data.
            device: as of `ganvas train`; by default the CPU for points, and the fastest for images.
            options: of the recipe, for all runs.

        Raises:
            RequestError: before anything is written, where the request is wrong, or `out` holds something else or a
                damaged file.
        """
        names = list(ADVERSARIAL if losses == "all" else dict.fromkeys(losses.replace(" ", "").split(",")))
        check_request(names, {"seeds": seeds, "steps": steps, "samples": samples}, options or {})
        dataset = whole = open_data(data)
        kept = None if isinstance(data, str | Path) else Path(out).resolve() / KEPT
        points = len(dataset.shape) == 1
        recipe = recipe or ("points" if points else "gan")
        chosen = shared(recipe, options or {})
        if chosen.reading() != Options():  # as the runs will see them
            dataset = drain(opening(data if kept is None else whole, chosen.reading()))
        protocol = {
            "data": str(kept or lasting(str(data))),
            "fingerprint": dataset.fingerprint,
            "shape": list(dataset.shape),
            "recipe": recipe,
            "options": {key: str(value) for key, value in (options or {}).items()},
            "steps": steps or (POINT_STEPS if points else chosen.steps),
            "batch": chosen.batch,
            "metrics": metrics_of(dataset, metrics, isinstance(chosen, Conditional) and chosen.told == "class"),
            "samples": samples or (POINT_SAMPLES if points else SAMPLES),
            "device": device or ("cpu" if points else "auto"),
            "precision": "fp32",
            "ganvas": version("ganvas"),
            "torch": torch.__version__,
            "objectives": names,
            "seeds": list(range(seeds)),
        }
        comparison = cls(Path(out), protocol, known_outcomes(Path(out), protocol))
        comparison._keep(whole, kept)
        return comparison

    def _keep(self, whole: Dataset, place: Path | None) -> None:
        """Write data that came from memory, unless it is there."""
        if place is not None and not place.exists():
            self.save()  # so that the directory is one of a comparison
            whole.save(place)

    def play(self, jobs: int | None = None) -> Generator[Outcome, None, None]:
        """Train and measure the missing runs, in `jobs` processes at once (by default one a core).

        Yields the outcome of each. `compare.json` is written at once and after each, and after the last the table, the
        plots and the page. Raises RequestError where `jobs` is less than 1; WorkError where a file cannot be written;
        KeyboardInterrupt after Ctrl-C, when every run has saved itself: the same request then resumes.
        """
        if jobs is not None and jobs < 1:
            raise RequestError(f"{jobs} is not possible", "give 1 or more", field="jobs")
        self.save()  # so that the protocol is fixed before the first outcome
        missing = [job for job in self.jobs() if (job.objective, job.seed) not in self.outcomes]
        for outcome in work_through(missing, min(jobs or os.cpu_count() or 1, max(1, len(missing)))):
            self.outcomes[outcome.objective, outcome.seed] = outcome
            self.save()
            yield outcome
        self.save()
        with writing(self.out):
            write_results(self.out, self.protocol, self.chosen())

    def jobs(self) -> list[Job]:
        """Every run, seed by seed, so that a comparison that is stopped early has runs of all objectives."""
        p = self.protocol
        return [
            Job(
                objective,
                seed,
                self.out / f"{objective}-{seed}",
                p["recipe"],
                p["data"],
                p["options"],
                p["steps"],
                p["device"],
                p["samples"],
                p["metrics"],
            )
            for seed in p["seeds"]
            for objective in p["objectives"]
        ]

    def chosen(self) -> list[Outcome]:
        """The outcomes that were asked for, in the order of the objectives."""
        keys = [(objective, seed) for objective in self.protocol["objectives"] for seed in self.protocol["seeds"]]
        return [self.outcomes[key] for key in keys if key in self.outcomes]

    def save(self) -> None:
        """Write compare.json: the protocol, and all outcomes, also those that were not asked for this time.

        Raises WorkError where that fails.
        """
        state = {"protocol": self.protocol, "runs": [outcome.to_json() for outcome in self.outcomes.values()]}
        with writing(self.out):
            files.write_json(self.out / STATE, state)


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turns an OSError into a WorkError that names the directory."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise WorkError(f"cannot write into {out}: {reason}; fix that, then the same command resumes") from error


def check_request(names: Sequence[str], counts: Mapping[str, int | None], options: Mapping[str, object]) -> None:
    """A RequestError for an unknown objective, a count below 1, or an option that the comparison varies."""
    for name in names:
        if name not in ADVERSARIAL:
            raise unknown("objective", name, ADVERSARIAL, field="losses")
    for name, value in counts.items():
        if value is not None and value < 1:
            raise RequestError(f"{value} is not possible", "give 1 or more", field=name)
    for key in VARIED & options.keys():
        raise RequestError("this is what a comparison varies", "leave it out", field=f"options.{key}")
    for key in options.keys() & set(ARGUMENTS):
        raise RequestError("this is not an option of a comparison", f"give `{key}`", field=f"options.{key}")


def shared(recipe: str, options: Mapping[str, object]) -> recipes.Training:
    """The options that all runs share. Raises RequestError where they are wrong, or the recipe has no objective."""
    chosen = recipes.override(recipes.recipe(recipe), options)
    if VARIED - recipes.to_json(chosen).keys():
        raise RequestError(
            f"{recipe!r} has no objectives to compare", "choose gan or another adversarial one", field="recipe"
        )
    return chosen


def known_outcomes(out: Path, protocol: Mapping[str, Any]) -> dict[tuple[str, int], Outcome]:
    """The outcomes in `out` so far; a RequestError for another protocol, and for a directory of something else."""
    if out.exists() and not (out / STATE).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise RequestError(f"{out} is not a comparison, and not empty", "choose another directory", field="out")
    old, outcomes = read_state(out / STATE)
    for key in old.keys() - set(GROWS):
        if old[key] != protocol.get(key):
            problem = f"{out} holds a comparison with {key} {old[key]}, not {protocol.get(key)}"
            raise RequestError(problem, "choose another directory", field="out")
    return outcomes


def metrics_of(dataset: Dataset, asked: str | None, labelled: bool) -> list[str] | None:
    """The metrics: `asked`, or for images all that `evaluate` knows (None), for points those that are quick.

    labelled: whether the runs draw samples of given classes.

    Raises RequestError for a metric that is unknown or impossible for the data, before anything is trained.
    """
    images = len(dataset.shape) == 3
    if asked:
        names = asked.replace(" ", "").split(",")
        networks, _ = add_classifier(open_networks(dataset, "auto", "cpu"), dataset, "cpu", names)
        known = available(dataset, networks, seed=0, labelled_samples=labelled)
        chosen = select(names, [*known, "copies", *(["ppl"] if images else [])])
        if "ppl" in chosen:
            lpips.load()  # or its weights would be missed after hours
        return chosen
    if images:
        return None
    return [*(["modes"] if dataset.modes else []), *(["curve"] if dataset.name == "sine" else []), "dc", "fid"]


def read_state(path: Path) -> tuple[dict[str, Any], dict[tuple[str, int], Outcome]]:
    """The protocol and the outcomes of earlier calls, if there were any; a RequestError where the file is damaged."""
    if not path.exists():
        return {}, {}
    fix = "copy it back, or choose another directory with `out`"
    state = files.read_json(path, records.Comparison, fix)
    with files.reading(path, fix):
        outcomes = [Outcome(**{**run}) for run in state["runs"]]
    return state["protocol"], {(outcome.objective, outcome.seed): outcome for outcome in outcomes}
