"""Train a recipe on a data set."""

from __future__ import annotations

from typing import Annotated

from ..data import printable
from ..progress import Note, Steps
from ..run import Run
from .types import Data, Device, OnCollapse, Options, Out, Precision
from .verb import Verb


@Verb
def train(
    recipe: Annotated[str, "What to train: `ganvas recipes` lists them."] = "gan",
    data: Annotated[
        Data | None, "Name, folder, archive, table, .npz or hf:NAME; in Python also arrays; by default the recipe's."
    ] = None,
    *,
    out: Annotated[Out | None, "Run directory; by default a new runs/RECIPE-DATA."] = None,
    steps: Annotated[int | None, "Steps in all; by default the recipe's."] = None,
    minutes: Annotated[float | None, "Minutes of training in all, instead of steps."] = None,
    batch: Annotated[int | None, "Items in a batch; by default the recipe's."] = None,
    seed: Annotated[int, "Of the weights, the batches and the noise."] = 0,
    device: Device = "auto",
    precision: Annotated[Precision, "bf16: autocast; auto: measured."] = "auto",
    options: Annotated[Options | None, "Any option of the recipe: `ganvas recipes NAME` lists them."] = None,
    on_collapse: Annotated[
        OnCollapse, "What to do when the monitor finds a fault; rollback: return to the best checkpoint."
    ] = "warn",
    overwrite: Annotated[bool, "Replace the run in the directory."] = False,
    progress: bool = True,
) -> Steps[Run]:
    """Train a recipe on a data set. Ctrl-C saves, and `ganvas resume` continues.

    Raises RequestError, before anything is written, where the request is wrong; WorkError where the work fails, and
    KeyboardInterrupt after Ctrl-C, both of which leave a run that `resume` continues.
    """
    run = yield from Run.creating(
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
    yield from headline(run)
    for note in run.data_notes:
        yield Note(printable(f"data: {note}"))
    yield from run.advance()
    return run


def headline(run: Run) -> Steps[None]:
    """What is trained, on what, where; and on what it is measured."""
    data, plan = run.record["data"], run.record["plan"]
    items = f"{data['count']:,} items of {'×'.join(map(str, data['shape']))}"
    begin = f", from step {run.step:,}" if run.step else ""
    place = f"{plan['device']} {plan['precision']}, into {run.path}{begin}"
    yield Note(f"{run.recipe} on {run.data_name} ({items}), {place}")
    if held_out := data.get("held_out"):
        yield Note(f"measured on {held_out['count']:,} items that it does not train on ({held_out['split']})")
    for change in run.record.get("data_changed", ()):
        before, after = (f"{change[end]['count']:,} items" for end in ("from", "to"))
        yield Note(
            f"its data changed at step {change['step']:,}, from {before} to {after}: it is not one run of the same data"
        )
