"""`ganvas data`: what a data set holds, and a sheet of what it looks like."""

from __future__ import annotations

from pathlib import Path

from .. import media
from ..data import inspect
from ..errors import WorkError
from ..run.folder import plain

SHOWN = 100  # items on the contact sheet


def inspect_data(source: str, out: Path | None) -> None:
    """Print the report, write the contact sheet, and with `out` convert the data to a store there.

    The sheet lies in the store, or else in the current directory; of points there is one in two dimensions alone.
    """
    report = inspect(source)
    dataset = report.dataset
    print("\n".join(report.lines()))
    if out is not None:
        print(f"store: {dataset.save(out)}")
    if len(dataset.shape) == 1 and dataset.shape != (2,):
        return  # points that no sheet of paper holds
    sheet = Path(f"{plain(dataset.name)}-contact.png") if out is None else out / "contact.png"
    items = dataset.batch(0, min(SHOWN, len(dataset))).x
    try:
        media.save_png(media.scatter(items) if items.ndim == 2 else media.grid(items), sheet)
    except OSError as error:
        raise WorkError(f"cannot write the contact sheet {sheet}: {(error.strerror or str(error)).lower()}") from error
    print(f"contact sheet: {sheet}")
