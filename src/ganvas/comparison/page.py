"""What a comparison leaves: `compare.md`, `compare.png`, `samples.png` and the self-contained `compare.html`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from .. import files, media, records
from ..objectives import objective
from ..reports import page
from ..reports.chart import LARGEST, WIDTH, Dots, short
from ..reports.chart import Row as DotRow
from ..reports.content import opened, text
from ..run import Run
from .summary import Cell, Row, figures, summarise
from .work import Outcome

TABLES = "compare.md"
KEYS = {1: "coverage", 3: "fid"}  # the figure that sorts the rows: for points, whose Gaussians say little, and images
# What all runs share, in the protocol of an evaluation.
EVALUATION = ("samples", "reference", "reference_count", "features", "features_hash", "classifier", "classifier_hash")
FIRST = ("modes", "high_quality", "reverse_kl", "error", "curve_coverage", "fid", "kid", "precision", "recall")
SMALL = 300  # pixels of a sample sheet's longer side
NAMES = {"high_quality": "high quality", "reverse_kl": "reverse KL", "curve_coverage": "bins of the curve"}


def write_results(out: Path, protocol: dict[str, Any], outcomes: Sequence[Outcome]) -> None:
    """Write every file that has something to show. Raises OSError where one cannot be written."""
    known, protocol = ordered(figures(outcomes)), protocol | evaluation(out, outcomes)
    key = KEYS[len(protocol["shape"])]
    key = key if key in known else next(iter(known), key)  # where other metrics were asked for
    rows = summarise(outcomes, key)
    sheets = {row.objective: sample_sheets(out, row.objective, protocol["seeds"]) for row in rows}
    files.write(out / TABLES, markdown(protocol, known, rows).encode())
    charts = [dots(name, figure, rows) for name, figure in known.items()]
    charts = [chart for chart in charts if any(row.values for row in chart.content)]
    if charts:
        media.save_png(plots(charts), out / "compare.png")
    if any(sheets.values()):
        media.save_png(contact(sheets), out / "samples.png")
    page.write(out / "compare.html", "compare.html", content(protocol, known, key, rows, sheets) | {"charts": charts})


def evaluation(out: Path, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """How the runs were measured, from the first metrics.json; nothing where none was measured."""
    paths = (out / f"{o.objective}-{o.seed}" / files.METRICS for o in outcomes if o.figures)
    protocol = next((files.read_json(path, records.Metrics)["protocol"] for path in paths if path.exists()), {})
    return {key: protocol[key] for key in EVALUATION if key in protocol}


def ordered(known: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The figures, those that matter most first."""
    return {name: known[name] for name in (*(n for n in FIRST if n in known), *(n for n in known if n not in FIRST))}


def title(name: str) -> str:
    """The name of a figure as people write it."""
    return NAMES.get(name, name.replace("_", " "))


# -- the table ---------------------------------------------------------------------------------------------------------


def spread(cell: Cell) -> str:
    """'0.97 to 0.84', the best run and the worst that ended well; one value where all are equal, '' without any."""
    texts = dict.fromkeys(short(value) for value in cell.values)
    return " to ".join([next(iter(texts)), short(cell.values[-1])][: len(texts)]) if texts else ""


def numbers(values: Sequence[int]) -> str:
    """'0, 1, 2'."""
    return ", ".join(map(str, values))


def cell_text(cell: Cell) -> str:
    """The median, 'failed' where the middle run has; then the best and the worst, where they differ."""
    median, ends = "failed" if cell.median is None else short(cell.median), spread(cell)
    return median if ends in ("", median) else f"{median} ({ends})"


def own(name: str) -> str:
    """What an objective's paper adds, and this comparison too."""
    row = objective(name)
    parts = [f"penalty {row.penalty}" if row.penalty else "", f"weights clipped to ±{row.clip:g}" if row.clip else ""]
    steps = f"{row.critic_steps} critic steps for one of the generator" if row.critic_steps > 1 else ""
    return ", ".join(part for part in (*parts, steps) if part) or "nothing"


def equal(protocol: dict[str, Any]) -> str:
    """What every run had in common, in a sentence or two."""
    options = ", ".join(f"{key}={value}" for key, value in protocol["options"].items())
    against = ""
    if "reference" in protocol:
        items, features = f"{protocol['reference_count']:,} items", f"{protocol['features']} as features"
        against = f" against {items} ({protocol['reference']}), {features}"
    return (
        f"Equal for all: the recipe {protocol['recipe']}{f' with {options}' if options else ''} (networks, optimiser, "
        f"rates), {protocol['data']}, {protocol['steps']:,} steps of {protocol['batch']} items, of which each trains "
        "the critic once, and the seeds. Each objective also has what its own paper adds: with five critic steps, the "
        "generator moves in every fifth step only. Nothing was tuned for any objective. "
        f"Measured on {protocol['samples']:,} samples of each run{against}."
    )


def markdown(protocol: dict[str, Any], known: dict[str, dict[str, Any]], rows: Sequence[Row]) -> str:
    """The table for documents: medians, the range in brackets, failures."""
    lines = [
        f"# The loss table on {protocol['data']}\n",
        f"{equal(protocol)} Median over the seeds {numbers(protocol['seeds'])} "
        "(the best run to the worst); a failed run counts as worse than any other.\n",
        f"| {' | '.join(['objective', *map(title, known), 'monitor', 'failed'])} |",
        "|---|" + "---|" * (len(known) + 2),
    ]
    for row in rows:
        cells = [f"`{row.objective}`", *(cell_text(row.cells[name]) for name in known), row.monitor]
        lines.append(f"| {' | '.join(cells)} | {len(row.failures)} of {row.runs} |")
    floors = [floor(figure) or "" for figure in known.values()]
    if any(floors):
        lines.append(f"| *real data* | {' | '.join(floors)} | | |")
    lines += ["", *(f"- `{row.objective}` {reason}" for row in rows for reason in row.failures)]
    return "\n".join(lines).rstrip() + "\n"


def floor(figure: dict[str, Any]) -> str | None:
    """The figure of real data, where it is known."""
    return None if figure.get("floor") is None else short(figure["floor"])


# -- pictures ----------------------------------------------------------------------------------------------------------


def sample_sheets(out: Path, name: str, seeds: Sequence[int]) -> dict[int, Image.Image]:
    """The last samples of an objective's runs, by seed."""
    sheets = {}
    for seed in seeds:
        folder = out / f"{name}-{seed}"
        drawn = Run(folder).pictures if (folder / files.RECORD).exists() else []
        if drawn:
            image = opened(drawn[-1])
            paired = image.width > 1.5 * image.height  # generated images next to real ones
            sheets[seed] = media.fitted(media.left_side(image) if paired else image, SMALL)
    return sheets


def contact(sheets: dict[str, dict[int, Image.Image]]) -> Image.Image:
    """A row an objective, a column a seed."""
    caption, gap = 22, 10
    seeds = sorted({seed for row in sheets.values() for seed in row})
    columns = len(seeds)
    whole = Image.new("RGB", (columns * (SMALL + gap), len(sheets) * (SMALL + caption + gap)), media.PAPER)
    draw = ImageDraw.Draw(whole)
    for i, (name, row) in enumerate(sheets.items()):
        top = i * (SMALL + caption + gap)
        draw.text((4, top + 3), name, media.INK, ImageFont.load_default(size=15))
        for seed, image in row.items():
            whole.paste(image, (seeds.index(seed) * (SMALL + gap), top + caption))
    return whole


def logarithmic(values: Sequence[float]) -> bool:
    """Whether values spread over so many sizes that an even scale would hide most of them."""
    return bool(values) and min(values) > 1 / LARGEST and max(values) > 50 * min(values)


def drawable(value: float | None) -> bool:
    """Whether a chart has a place for it."""
    return value is not None and abs(value) < LARGEST


def plots(charts: Sequence[Dots]) -> Image.Image:
    """The charts of the page in one picture."""
    columns = min(3, len(charts))
    lines = -(-len(charts) // columns)
    height = max(220, 1.3 * charts[0].height)  # one row alone would leave no room for its title and ticks
    figure = Figure(figsize=(WIDTH / 72 * columns, height / 72 * lines), dpi=110, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for axes, chart in zip(panels, charts, strict=False):
        chart.draw(axes)
        axes.set_title(f"{chart.title}\n{chart.note}", fontsize=9, pad=18, wrap=True)
    for axes in panels:
        axes.remove()
    return media.rendered(figure)


# -- the page ----------------------------------------------------------------------------------------------------------


def dots(name: str, figure: dict[str, Any], rows: Sequence[Row]) -> Dots:
    """The runs of every objective by one figure."""
    content = tuple(
        DotRow(row.objective, tuple(filter(drawable, cell.values)), cell.median, cell.failed)
        for row in rows
        for cell in [row.cells[name]]
    )
    levels = (("real data", figure["floor"]),) if drawable(figure.get("floor")) else ()
    better = f". {figure['better'].capitalize()} is better" if figure["better"] else ""
    note = f"{figure['meaning'][:1].upper()}{figure['meaning'][1:]}{better}."
    values = [value for row in content for value in row.values] + [value for _, value in levels]
    return Dots(title(name), content, note, levels, logarithmic(values))


def table_row(row: Row, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An objective in the table."""
    return {
        "objective": row.objective,
        "cells": [(row.cells[name].median, spread(row.cells[name])) for name in known],
        "monitor": row.monitor,
        "failed": len(row.failures),
        "runs": row.runs,
        "minutes": f"{row.seconds / 60:.1f}",
    }


def card(row: Row, sheets: dict[int, Image.Image]) -> dict[str, Any]:
    """What an objective draws, by seed, each picture with the report of its run."""
    name = row.objective
    pictures = [
        (seed, f"{name}-{seed}/{files.REPORT}", page.picture(image, f"Samples of {name}, seed {seed}.", SMALL))
        for seed, image in sheets.items()
    ]
    return {"objective": name, "own": own(name), "failures": row.failures, "pictures": pictures}


def content(
    protocol: dict[str, Any],
    known: dict[str, dict[str, Any]],
    key: str,
    rows: Sequence[Row],
    sheets: dict[str, dict[int, Image.Image]],
) -> dict[str, Any]:
    """Everything that `compare.html` shows."""
    return {
        "data": protocol["data"],
        "objectives": len(rows),
        "seeds": numbers(protocol["seeds"]),
        "equal": equal(protocol),
        "verdict": verdict(protocol, known, key, rows),
        "columns": [title(name) for name in known],
        "floors": [floor(figure) or "" for figure in known.values()],
        "table": [table_row(row, known) for row in rows],
        "cards": [card(row, sheets[row.objective]) for row in rows],
        "facts": [(name, text(value)) for name, value in protocol.items() if value],
    }


def verdict(protocol: dict[str, Any], known: dict[str, dict[str, Any]], key: str, rows: Sequence[Row]) -> str:
    """The outcome in a sentence, with its limits."""
    if not known or rows[0].cells[key].median is None:
        return "For every objective most runs failed, so there is nothing to rank."
    failed = sum(len(row.failures) for row in rows)
    best = rows[0]
    return (
        f"By its median {title(key)}, {best.objective} came out best ({short(best.cells[key].median or 0)}). "
        f"{failed} of {sum(row.runs for row in rows)} runs failed. With so few seeds, differences smaller than the "
        "ranges mean nothing. Nothing was tuned: the table shows what an objective gives as it is, not its best."
    )
