"""The content of a run's page, from the files of its directory alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from .. import files, media, recipes, records
from ..monitor import judge
from . import page
from .chart import short
from .curves import Line, charts

LARGE, SMALL, MOVING = 1600, 320, 400  # pixels of the longer side: the last picture, the strip's, the clip's
STRIP, FRAMES, FPS = 6, 48, 6  # pictures of the strip, frames of the clip at most, frames a second


class Option(NamedTuple):
    """A row of the options' table."""

    name: str
    value: str
    default: str
    meaning: str
    changed: bool


def describe(run: Path) -> dict[str, Any]:
    """Everything that `run.html` shows. Raises RequestError where `run` is not a run, or its files are damaged."""
    record, lines = records.read_record(run), records.read_log(run)
    rows = options(record)
    return {
        "name": run.resolve().name,
        "recipe": record["recipe"],
        "data": record["options"]["data"],
        "headline": headline(record, lines),
        **verdict(lines),
        **pictures(run, record),
        "charts": charts(lines, record),
        **metrics(run),
        "options_note": f"Those that differ from the recipe {record['recipe']}, in bold, then the others.",
        "changed": [row for row in rows if row.changed],
        "kept": [row for row in rows if not row.changed],
        "facts": facts(record, lines),
        "commands": commands(run, lines),
    }


def headline(record: dict[str, Any], lines: Sequence[Line]) -> str:
    """What was trained, how far, how long, on what."""
    data, plan, budget = record["data"], record["plan"], record["budget"]
    step, seconds = (lines[-1]["step"], lines[-1]["seconds"]) if lines else (0, 0.0)
    whole = f" of {budget['steps']:,}" if budget["steps"] else ""
    return (
        f"{record['recipe']} on {record['options']['data']} ({items(data)}), "
        f"{step:,}{whole} steps in {seconds / 60:.1f} minutes on {plan['device']}, seed {record['seed']}"
    )


def items(data: dict[str, Any]) -> str:
    """How many of what."""
    shape = data["shape"]
    kind = f"points in {shape[0]}-D" if len(shape) == 1 else f"images of {'×'.join(map(str, shape))}"
    return f"{data['count']:,} {kind}"


def verdict(lines: Sequence[Line]) -> dict[str, Any]:
    """What the monitor finds in the log, and the text where it finds nothing.

    The log is judged again. Its own findings are added: a number that was not finite ended the run before it could be
    logged, and an earlier ganvas may have had other rules.
    """
    found = {finding.kind: finding._asdict() for finding in judge(lines)}
    for line in lines:
        for finding in line.get("findings", ()):
            found.setdefault(finding["kind"], {"step": line["step"], **finding})
    watched = any(name.startswith("monitor/") for line in lines for name in line)
    silence = "The monitor found nothing wrong: no collapse, no divergence, no player that overpowers the other."
    return {
        "findings": sorted(found.values(), key=lambda finding: finding["step"]),
        "state": "found" if found else "well" if watched else "",
        "silence": silence if watched else "The monitor did not measure this run.",
    }


# -- pictures ----------------------------------------------------------------------------------------------------------


def spread(items: Sequence[Path], count: int) -> list[Path]:
    """At most `count` of the items, evenly from the first to the last."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def step_of(path: Path) -> int:
    """samples/step-000250.png -> 250."""
    return int(path.stem.removeprefix("step-"))


def opened(path: Path) -> Image.Image:
    """A picture of the run; a RequestError where it is damaged."""
    with files.reading(path, "copy it back, or remove it"), Image.open(path) as image:
        return image.convert("RGB")


def pictures(run: Path, record: dict[str, Any]) -> dict[str, Any]:
    """The last sample grid, the strip and the clip."""
    drawn = sorted((run / "samples").glob("step-*.png"), key=step_of)
    if not drawn:
        return {"last": None, "strip": [], "film": None}
    networks = [name for name in files.NETWORKS if (run / name).exists()]  # all but a generator have their own picture
    paired = len(record["data"]["shape"]) == 3 and networks == [files.GENERATOR]

    def generated(path: Path) -> Image.Image:
        return media.left_side(opened(path)) if paired else opened(path)

    beside = "generated on the left, real on the right" if paired else "drawn by the run"
    last = page.picture(opened(drawn[-1]), f"Step {step_of(drawn[-1])}: {beside}.", LARGE)
    strip = [
        (step_of(path), page.picture(generated(path), f"The same at step {step_of(path)}.", SMALL))
        for path in spread(drawn, STRIP)
    ]
    content = {"last": last, "last_step": step_of(drawn[-1]), "strip": strip, "film": None}
    if len(drawn) > STRIP:
        frames = [generated(path) for path in spread(drawn, FRAMES)]
        alt = f"The same latents from step {step_of(drawn[0])} to step {step_of(drawn[-1])}."
        content["film_kind"], content["film"] = page.clip(frames, alt, MOVING, FPS)
    return content | {"strip_note": "The same latents at every step: only the network changes."}


# -- numbers -----------------------------------------------------------------------------------------------------------


def metrics(run: Path) -> dict[str, Any]:
    """What `ganvas evaluate` wrote into the directory."""
    if not (run / files.METRICS).is_file():
        return {"figures": [], "protocol": [], "said": [], "warnings": [], "neighbours": None}
    found = files.read_json(run / files.METRICS, records.Metrics)
    figures = [
        {
            "name": name,
            "value": short(f["value"]),
            "interval": f"{short(f['low'])} to {short(f['high'])}",
            "floor": "" if f["floor"] is None else short(f["floor"]),
            "better": f["better"],
            "meaning": f["meaning"],
        }
        for name, f in found["figures"].items()
    ]
    protocol = [(name, text(value)) for name, value in found["protocol"].items()]
    neighbours = None
    if "copies" in found["figures"] and (run / files.NEIGHBOURS).is_file():  # else it is of an older evaluation
        alt = "Samples, each next to the training image nearest to it."
        neighbours = page.picture(opened(run / files.NEIGHBOURS), alt, LARGE)
    return {
        "figures": figures,
        "protocol": protocol,
        "said": found["findings"],
        "warnings": found["warnings"],
        "neighbours": neighbours,
    }


# -- facts -------------------------------------------------------------------------------------------------------------


def text(value: object) -> str:
    """A value of the record as text; 'none' if it is empty."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {text(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return str(value) or "none"


def options(record: dict[str, Any]) -> list[Option]:
    """Every option of the run, with the recipe's default."""
    name, given = record["recipe"], record["options"]
    known = recipes.describe(recipes.recipe(name)) if name in recipes.RECIPES else []
    defaults = {n: recipes.to_json(recipes.recipe(name))[n] for n, *_ in known}
    meanings = {n: meaning for n, _, _, meaning in known}
    resolved = record.get("resolved", given)
    rows = []
    for key, value in given.items():
        default = text(defaults.get(key, value))
        given_text, meant = text(value), text(resolved.get(key, value))
        shown = given_text if given_text == meant else f"{given_text}, here {meant}"
        rows.append(Option(key, shown, default, meanings.get(key, ""), given_text != default))
    return rows


def facts(record: dict[str, Any], lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Data, machine and versions."""
    data, plan = record["data"], record["plan"]
    classes = data["class_names"]
    layout = ", channels last" if plan["channels_last"] else ""
    rows = [
        ("data", f"{record['options']['data']}, {items(data)}"),
        ("fingerprint", data["fingerprint"]),
        *(("data changed", changed(change)) for change in record.get("data_changed", ())),
        (
            "classes",
            f"{len(classes)}: {', '.join(classes[:20])}{', …' if len(classes) > 20 else ''}" if classes else "",
        ),
        ("files left out", f"{data['unreadable']}, which could not be read" if data["unreadable"] else ""),
        ("device", f"{plan['device']}, {plan['precision']}{layout}"),
        ("threads", str(record["threads"]) if "threads" in record else ""),
        ("speed", f"{short(lines[-1]['images_per_second'])} items a second at the end" if lines else ""),
        ("versions", f"ganvas {record['ganvas']}, torch {record['torch']}, Python {record['python']}"),
    ]
    return [(name, value) for name, value in rows if value]


def changed(change: dict[str, Any]) -> str:
    """That other data replaced the data, in words."""
    before, after = (f"{change[end]['count']:,} items ({change[end]['fingerprint']})" for end in ("from", "to"))
    return f"changed at step {change['step']:,}, from {before} to {after}: this is not one run of the same data"


def commands(run: Path, lines: Sequence[Line]) -> list[str]:
    """What can be done next with the run."""
    where = shlex.quote(str(run))
    further = [f"ganvas resume {where} --steps {2 * lines[-1]['step']}"] if lines else [f"ganvas resume {where}"]
    drawn = [f"ganvas sample {where} --seeds 0-63 --out grid.png"] if (run / files.GENERATOR).exists() else []
    return further + drawn
