"""What the command line prints of each result, and which verb each command runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import NEIGHBOURS, RECORD
from .tables import say
from .tables import show as show_table

if TYPE_CHECKING:  # results are heavy to import
    from ..api.breed import Litter
    from ..api.classify import Classification
    from ..api.describe import Description
    from ..api.doctor import Examination
    from ..api.edit import Edit
    from ..api.export import Export
    from ..api.inspect import Cleared, Inspection
    from ..api.project import Projection
    from ..api.reconstruct import Reconstructions
    from ..api.report import Report
    from ..api.sample import Samples
    from ..api.search import Matches
    from ..api.walk import Film
    from ..attributes.directing import Directions
    from ..comparison import Comparison
    from ..evaluation import Evaluation
    from ..painting import Painting
    from ..progress import Progress
    from ..run import Run

Asked = dict[str, Any]  # the arguments of the verb, as they were read


def stopped(last: Progress) -> str:
    """What Ctrl-C has left, and how to continue."""
    assert last.saved is not None
    where = shlex.quote(str(last.saved))
    how = f"to continue: the same command with --init {where}"
    if (last.saved / RECORD).is_file():
        how = f"`ganvas resume {where}` continues"
    elif last.saved.is_dir():
        how = "the same command continues"
    return f"stopped and saved: {last.label}; {how}"


def show_run(run: Run, asked: Asked) -> None:
    """Where the pictures are, and what can be done with the run."""
    from ..progress import clock
    from ..reports.next_steps import next_steps

    print(f"\n{run.step:,} steps in {clock(run.seconds)}.")
    for what, value in next_steps(run.path):
        print(f"  {f'{what}:':<15} {value}")


def show_description(found: Description, asked: Asked) -> None:
    if found.text:
        print(f"{found.text}\n")
        show_table(found.table, ("--set", "meaning"))
    else:
        show_table(found.table)


def show_inspection(found: Inspection | Cleared, asked: Asked) -> None:
    from ..api.inspect import Cleared, sheet_name

    print("\n".join(found.lines()))
    if isinstance(found, Cleared):
        return
    if found.store is not None:
        print(f"store: {found.store}")
    elif found.drawable:
        found.save(sheet_name(found))
    if found.sheet is not None:
        print(f"contact sheet: {found.sheet}")
    if found.pairs is not None:
        print(f"near-duplicates: {found.pairs}")


def show_samples(found: Samples, asked: Asked) -> None:
    print(f"{len(found):,} samples in {asked['out']}")


def show_film(found: Film, asked: Asked) -> None:
    print(f"{len(found):,} frames, {len(found) / found.fps:g} seconds, in {asked['out']}")


def show_edit(found: Edit, asked: Asked) -> None:
    ends = f"from {found.strengths[0]:g} to {max(found.strengths):g}"
    print(f"{found.name} {ends}, {len(found.strengths)} pictures, in {asked['out']}")


def show_litter(found: Litter, asked: Asked) -> None:
    out = asked["out"]
    print(f"{len(found)} children of {', '.join(parent.name for parent in found.parents)} in {out}")
    print(f"  to look at:     {Path(out) / 'sheet.png'}")
    print(f"  to breed on:    ganvas breed {asked['run']} --parents {out}/0,{out}/1 --out DIR")


def show_projection(found: Projection, asked: Asked) -> None:
    from ..api.project import HEADER

    show_table(found.table, HEADER)
    for line in found.scale:
        print(line)
    count, out, video = len(found.names), asked["out"], asked.get("video")
    filmed = "" if video is None else f", the search in {video}"
    print(f"{count} latent{'s' * (count > 1)} in {out}, drawn in {Path(out).with_suffix('.png')}{filmed}")


def show_directions(found: Directions, asked: Asked) -> None:
    show_table(found.table, found.header)
    print(f"{len(found.names)} directions in {asked['out']}, drawn in {Path(asked['out']).with_suffix('.png')}")


def show_painting(found: Painting, asked: Asked) -> None:
    for what, path in found.files.items():
        print(f"  {f'{what}:':<15} {path}" if what in ("the strokes", "between them") else f"{what}: {path}")
    out = Path(asked["out"])
    again = f"the same command with --init {shlex.quote(str(out / 'latent.npz'))} --out {shlex.quote(str(out))}"
    print(f"  to continue:    {again} and more --steps")


def show_reconstructions(found: Reconstructions, asked: Asked) -> None:
    decibels, count = found.psnr, len(found.names)
    spread = f" ({decibels.min():.1f} to {decibels.max():.1f})" if count > 1 else ""
    print(f"{count:,} reconstructions in {asked['out']}: PSNR {decibels.mean():.2f} dB{spread}, L1 {found.l1:.4f}")


def show_classification(found: Classification, asked: Asked) -> None:
    from ..api.classify import SHOWN

    width = max(map(len, found.names))
    for name, ranked in zip(found.names, found.ranked(), strict=True):
        print(f"{name:<{width}}  {'   '.join(f'{label} {share:.1%}' for label, share in ranked[:SHOWN])}")


def show_matches(found: Matches, asked: Asked) -> None:
    for file, score in zip(found.files, found.scores, strict=True):
        print(f"{score:.3f}  {file}")  # whole, for whatever reads it
    for reason in found.left_out:
        print(f"left out: {reason}", file=sys.stderr)
    if asked.get("out") is not None:
        print(f"sheet: {asked['out']}")


def show_evaluation(found: Evaluation, asked: Asked) -> None:
    """A line on what was compared, the table, the findings and the warnings."""
    from ..api.evaluate import destinations

    facts = found.protocol
    source = facts.get("path", facts["source_kind"])
    print(
        f"{facts['samples']:,} samples of {source} against {facts['reference_count']:,} items of {facts['data_name']}, "
        f"{facts['reference']}; features: {facts['features']}\n"
    )
    show_table(found.table, found.header)
    print()
    for text in found.sentences:
        say(text)
    for file in destinations(asked["source"], asked.get("json")):
        beside = f", nearest neighbours: {file.with_name(NEIGHBOURS)}" if found.neighbours else ""
        print(f"written: {file}{beside}")


def show_comparison(found: Comparison, asked: Asked) -> None:
    print(f"\n{found.markdown}")
    print(f"the page: {found.out / 'compare.html'}")


def show_export(found: Export, asked: Asked) -> None:
    print(f"{found.path}: {found.size / 1e6:.1f} MB; differs from torch by at most {found.difference:.1e}")


def show_report(found: Report, asked: Asked) -> None:
    print(found.path)


def show_examination(found: Examination, asked: Asked) -> None:
    show_table(list(found.facts.items()))


# Command, verb, what shows the result, and the arguments that the command line needs though Python can leave them out.
SHOWS: tuple[tuple[str, str, Callable[[Any, Asked], None], tuple[str, ...]], ...] = (
    ("train", "train", show_run, ()),
    ("resume", "resume", show_run, ()),
    ("recipes", "describe", show_description, ()),
    ("data", "inspect", show_inspection, ()),
    ("sample", "sample", show_samples, ("out",)),
    ("walk", "walk", show_film, ("out",)),
    ("edit", "edit", show_edit, ("out",)),
    ("breed", "breed", show_litter, ("out",)),
    ("directions", "directions", show_directions, ("out",)),
    ("project", "project", show_projection, ("out",)),
    ("paint", "paint", show_painting, ("out",)),
    ("reconstruct", "reconstruct", show_reconstructions, ("out",)),
    ("classify", "classify", show_classification, ()),
    ("search", "search", show_matches, ()),
    ("evaluate", "evaluate", show_evaluation, ()),
    ("compare", "compare", show_comparison, ()),
    ("export", "export", show_export, ()),
    ("report", "report", show_report, ()),
    ("doctor", "doctor", show_examination, ()),
)
