"""The command line: one short function a command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import CycloptsError, Parameter

from ..errors import RequestError, WorkError
from . import exploring, exporting, paint, reconstructing, steering  # noqa: F401 - whose commands register themselves
from .root import app, parse_settings

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..run import Run
    from ..run.budget import Progress

Steps = Annotated[int | None, Parameter(help="Steps in all; by default the recipe's.")]
OnCollapse = Literal["warn", "stop", "rollback"]
Minutes = Annotated[float | None, Parameter(help="Minutes of training in all, instead of steps.")]


@app.command
def train(
    recipe: Annotated[str, Parameter(help="What to train: `ganvas recipes` lists them.")] = "gan",
    data: Annotated[str | None, Parameter(help="Data set, folder, .zip or .npz; by default the recipe's.")] = None,
    /,
    *,
    out: Annotated[Path | None, Parameter(help="Run directory; by default a new runs/RECIPE-DATA.")] = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch: Annotated[int | None, Parameter(help="Items in a batch; by default the recipe's.")] = None,
    seed: Annotated[int, Parameter(help="Of the weights, the batches and the noise.")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Parameter(help="Where to compute.")] = "auto",
    precision: Annotated[Literal["auto", "fp32", "bf16"], Parameter(help="bf16: autocast; auto: measured.")] = "auto",
    settings: Annotated[
        list[str] | None,
        Parameter("--set", negative="", help="KEY=VALUE, any option of the recipe: `ganvas recipes NAME` lists them."),
    ] = None,
    on_collapse: Annotated[
        OnCollapse, Parameter(help="When the monitor finds something wrong; rollback: to the best checkpoint.")
    ] = "warn",
    overwrite: Annotated[bool, Parameter(negative="", help="Replace the run that --out holds.")] = False,
) -> None:
    """Train a recipe on a data set. Ctrl-C saves, and `ganvas resume` goes on."""
    options = parse_settings(settings or [])

    from ..run import Run

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
    follow(run, run.advance())


@app.command
def resume(
    run: Annotated[Path, Parameter(help="The run directory.")],
    /,
    *,
    steps: Annotated[int | None, Parameter(help="Steps in all, beyond those the run was to have.")] = None,
    minutes: Annotated[float | None, Parameter(help="Minutes of training in all, those before included.")] = None,
    on_collapse: Annotated[OnCollapse | None, Parameter(help="From here on; by default as before.")] = None,
) -> None:
    """Go on with a run exactly where its newest checkpoint stands."""
    from ..run import Run

    opened = Run(run)
    follow(opened, opened.advance(steps, minutes, on_collapse))


@app.command
def recipes(name: Annotated[str | None, Parameter(help="The recipe to describe.")] = None, /) -> None:
    """List the recipes, or describe one with all its options."""
    from ..recipes import RECIPES, describe, recipe
    from .tables import show

    if name is None:
        show([(known, first_line(make.__doc__)) for known, make in RECIPES.items()])
        return
    options = recipe(name)
    print(f"{paragraph(RECIPES[name].__doc__)}\n")
    rows = [
        (f"{key}={value}", f"{kind.replace('|', ' | ')}: {meaning}") for key, kind, value, meaning in describe(options)
    ]
    show(rows, ("--set", "meaning"))


@app.command
def data(
    source: Annotated[str, Parameter(name="DATA", help="Data set, folder, .zip, .npz or IDX file.")],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="Also convert it to a store in this new directory.")] = None,
) -> None:
    """Look at a data set before training on it, and draw a contact sheet."""
    from .inspecting import inspect_data

    inspect_data(source, out)


@app.command
def compare(
    *,
    out: Annotated[Path, Parameter(help="Directory of the runs and results; one that was interrupted goes on.")],
    data: Annotated[str, Parameter(help="Data set, folder, .zip or .npz.")] = "ring",
    losses: Annotated[str, Parameter(help="Objectives separated by commas, or all.")] = "all",
    seeds: Annotated[int, Parameter(help="Runs of each objective.")] = 3,
    steps: Annotated[int | None, Parameter(help="Of each run; by default 2,000 for points, else the recipe's.")] = None,
    recipe: Annotated[str | None, Parameter(help="What all share; by default points or gan, as the data are.")] = None,
    samples: Annotated[int | None, Parameter(help="Measured of each run; by default 2,500 or 10,000.")] = None,
    metrics: Annotated[str | None, Parameter(help="Such as fid,pr; by default all that suit the data.")] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"] | None, Parameter(help="By default cpu for points.")
    ] = None,
    jobs: Annotated[int | None, Parameter(help="Runs at a time, one thread each; by default one a core.")] = None,
    settings: Annotated[
        list[str] | None, Parameter("--set", negative="", help="KEY=VALUE, an option of the recipe, for all runs.")
    ] = None,
) -> None:
    """Measure objectives against each other: the same networks, data and steps for all, several seeds each."""
    options = parse_settings(settings or [])

    from ..comparison import Comparison
    from .comparing import follow_comparison

    comparison = Comparison.begin(
        out,
        data=data,
        losses=losses,
        seeds=seeds,
        steps=steps,
        recipe=recipe,
        samples=samples,
        metrics=metrics,
        device=device,
        options=options,
    )
    follow_comparison(comparison, jobs)


@app.command
def report(run: Annotated[Path, Parameter(help="The run directory.")], /) -> None:
    """Write a run's report.html anew: curves, samples, options and verdict in one file that opens anywhere."""
    from ..reports import write_report

    print(write_report(run))


@app.command
def evaluate(
    source: Annotated[str, Parameter(help="A run, its checkpoints/best, a generator.safetensors, or samples.")],
    /,
    *,
    data: Annotated[str | None, Parameter(help="What samples should be like; by default what the run had.")] = None,
    metrics: Annotated[str | None, Parameter(help="Such as fid,kid,pr; by default all but ppl.")] = None,
    features: Annotated[str, Parameter(help="auto, pixels, inception, dino, or the run of a classifier.")] = "auto",
    samples: Annotated[int, Parameter(help="How many samples, at most.")] = 10_000,
    seed: Annotated[int, Parameter(help="Of the samples and of every random choice.")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Parameter(help="Where to compute.")] = "auto",
    json: Annotated[Path | None, Parameter(help="Also write the figures and their protocol to this file.")] = None,
) -> None:
    """Measure samples against real items: quality, variety, copies; a run keeps the outcome in its metrics.json."""
    from ..evaluation import evaluate as measure
    from .evaluating import keep, show_evaluation, track

    asked = metrics.replace(" ", "").split(",") if metrics else None
    evaluation = measure(
        source, data, metrics=asked, features=features, samples=samples, seed=seed, device=device, track=track
    )
    show_evaluation(evaluation)
    keep(evaluation, source, json)


@app.command
def classify(
    images: Annotated[list[Path], Parameter(help="Pictures.")],
    /,
    *,
    labels: Annotated[str, Parameter(help="What they may show, separated by commas: cat,dog,a red car.")],
    clip: Annotated[Path | None, Parameter(help="Run or file; by default the best CLIP on this machine.")] = None,
    template: Annotated[str, Parameter(help="The sentence that each label is put into.")] = "a photo of a {label}",
) -> None:
    """Tell which label suits a picture, without having been trained on the labels."""
    from .finding import classify_images

    classify_images(images, labels, template, clip)


@app.command
def search(
    words: Annotated[str, Parameter(help="What to look for, in a few words.")],
    folder: Annotated[Path, Parameter(help="Pictures, in it and in its sub-folders.")],
    /,
    *,
    clip: Annotated[Path | None, Parameter(help="Run or file; by default the best CLIP on this machine.")] = None,
    top: Annotated[int, Parameter(help="How many of them to show.")] = 12,
    out: Annotated[Path | None, Parameter(help="Also draw what was found, such as sheet.png.")] = None,
) -> None:
    """Find the pictures of a folder that suit some words best."""
    from .finding import search_folder

    search_folder(words, folder, clip, top, out)


@app.command
def doctor() -> None:
    """What this machine can do, what is missing, and the plan that training would choose."""
    from ..plan import Plan, facts
    from .tables import show

    def text(value: object) -> str:
        if isinstance(value, Plan):
            return f"{value.device}, {value.precision}{', channels last' if value.channels_last else ''}"
        return str(value)

    show([(name, text(value)) for name, value in facts().items()])


def follow(run: Run, steps: Generator[Progress, None, None]) -> None:
    """Train while showing it, then say where the pictures lie and what can be done with them."""
    from .. import files
    from ..run.progress import clock
    from ..run.progress import follow as show_progress

    where = shlex.quote(str(run.path))
    told, plan = run.record["data"], run.record["plan"]
    items = f"{told['count']:,} items of {'×'.join(map(str, told['shape']))}"
    begin = f", from step {run.step:,}" if run.step else ""
    print(f"{run.recipe} on {run.options.data} ({items}), {plan['device']} {plan['precision']}, into {where}{begin}")
    if held_out := told.get("held_out"):
        print(f"measured on {held_out['count']:,} items that it does not train on ({held_out['split']})")
    show_progress(steps)
    print(f"\n{run.step:,} steps in {clock(run.seconds)}.")
    if run.pictures:
        print(f"  the picture:    {run.pictures[-1]}")
    print(f"  the report:     {run.path / files.REPORT}")
    if (run.path / files.GENERATOR).exists():
        print(f"  more samples:   ganvas sample {where} --seeds 0-63 --out grid.png")
    if (run.path / files.CLIP).exists():
        print(f'  what it shows:  ganvas classify picture.png --labels "a,b,c" --clip {where}')
        print(f'  to find some:   ganvas search "words" FOLDER --clip {where} --out sheet.png')
    if (run.path / files.AUTOENCODER).exists():
        print(f"  what it keeps:  ganvas reconstruct {where} {shlex.quote(run.options.data)} --out sheet.png")
    if run.best is not None:
        print(f"  the best step:  ganvas sample {shlex.quote(str(run.best))} --seeds 0-63 --out best.png")
    print(f"  train longer:   ganvas resume {where} --steps {2 * run.step}")


def first_line(text: str | None) -> str:
    """What the first line of a docstring says."""
    return (text or "").strip().splitlines()[0]


def paragraph(text: str | None) -> str:
    """A docstring without its indentation."""
    from inspect import cleandoc

    return cleandoc(text or "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Gives the exit status: 0 done, 1 failed while working, 2 the request was wrong.

    Training that Ctrl-C ended, and that was saved, is done.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console without some character loses no outcome
    try:
        app([word for word in given if word != "--debug"], exit_on_error=False, print_error=False)
    except KeyboardInterrupt as stop:
        print(f"\n{stop}" if stop.args else "\ninterrupted", file=sys.stdout if stop.args else sys.stderr)
        return 0 if stop.args else 1
    except CycloptsError as error:
        error.verbose = debug
        return fail(f"{error}", 2)
    except (RequestError, WorkError) as error:
        if debug:
            raise
        return fail(str(error), 2 if isinstance(error, RequestError) else 1)
    except Exception as error:
        if debug:
            raise
        return fail(f"{type(error).__name__}: {error}; run it again with --debug for the traceback", 1)
    return 0


def fail(message: str, status: int) -> int:
    """Say it in one line on stderr."""
    print(f"ganvas: {' '.join(message.split())}", file=sys.stderr)
    return status
