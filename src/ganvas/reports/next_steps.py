"""What can be done with a run, as commands."""

from __future__ import annotations

import shlex
from pathlib import Path

from .. import files, records


def next_steps(run: Path) -> list[tuple[str, str]]:
    """(what, path or command) of everything in a run directory that is worth a look or a command."""
    where, record = shlex.quote(str(run)), records.read_record(run)
    pictures = sorted((run / "samples").glob("step-*.png"), key=lambda path: int(path.stem.removeprefix("step-")))
    found = [("the picture", str(pictures[-1]))] if pictures else []
    found.append(("the report", str(run / files.REPORT)))
    if (run / files.GENERATOR).exists():
        found.append(("more samples", f"ganvas sample {where} --seeds 0-63 --out grid.png"))
    if (run / files.CLIP).exists():
        found.append(("what it shows", f'ganvas classify picture.png --labels "a,b,c" --clip {where}'))
        found.append(("to find some", f'ganvas search "words" FOLDER --clip {where} --out sheet.png'))
    if (run / files.AUTOENCODER).exists():
        data = shlex.quote(record["options"]["data"])
        found.append(("what it keeps", f"ganvas reconstruct {where} {data} --out sheet.png"))
    best = run / "checkpoints" / "best"
    if best.is_dir():
        found.append(("the best step", f"ganvas sample {shlex.quote(str(best))} --seeds 0-63 --out best.png"))
    steps = max((int(path.name.removeprefix("step-")) for path in run.glob("checkpoints/step-*")), default=0)
    found.append(("train longer", f"ganvas resume {where} --steps {2 * steps}"))
    return found
