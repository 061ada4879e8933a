"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def show(rows: Iterable[Sequence[str]], header: Sequence[str] | None = None) -> None:
    """Print one row or more in aligned columns, which wrap at the spaces in them to fit the terminal's width."""
    rows = [tuple(row) for row in rows]
    columns = header or [""] * len(rows[0])
    table = Table(box=None, show_header=header is not None, padding=(0, 2, 0, 0))
    for i, title in enumerate(columns):
        table.add_column(title, no_wrap=not any(" " in row[i] for row in rows), style="bold" if i == 0 else None)
    for row in rows:
        table.add_row(*row)
    say(table)


def say(what: str | Table) -> None:
    """Print sentences, which wrap at their spaces to fit the terminal's width."""
    Console(highlight=False, markup=False).print(what)
