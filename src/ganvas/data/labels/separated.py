"""Tables with separators: .csv and .tsv, as spreadsheets, pandas and databases write them."""

from __future__ import annotations

import csv
import io
import sys

from ..options import DataError, blaming
from .table import Table

SEPARATORS = ",;\t|"


def parse_separated(text: str, file: str, place: str) -> Table:
    """The table of a text whose first line names the columns. DataError where it is not one."""
    header = next((line for line in text.split("\n") if line.strip()), "")
    separator = max(SEPARATORS, key=header.count)  # the first of them in a header without any
    with blaming(f"{place} cannot be read as a table", "fix or remove it", csv.Error):
        reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
        rows = [[sys.intern(cell.strip()) for cell in row] for row in reader]
    rows = [row for row in rows if any(row)]  # spreadsheets leave rows of commas
    if not rows:
        return Table(file, {})
    names = rows.pop(0)
    for row in rows:
        if any(row[len(names) :]):
            problem = f"the row of {row[0]!r} in {place} has {len(row)} cells under {len(names)} column names"
            raise DataError(problem, f"put a cell that contains {separator!r} in quotes")
    columns: dict[str, list[str]] = {}
    for i, name in enumerate(names):
        cells = [row[i] if i < len(row) else "" for row in rows]
        if separator == ";":  # where the comma is the decimal point
            cells = [
                cell.replace(",", ".") if cell.replace(",", "", 1).lstrip("+-").isdecimal() else cell for cell in cells
            ]
        if name:  # pandas writes the numbers of its rows under no name
            columns[name if name not in columns else f"{name} ({i + 1})"] = cells
    return Table(file, columns)
