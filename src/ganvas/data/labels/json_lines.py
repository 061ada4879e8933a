"""Tables of JSON: one object a line (.jsonl)."""

from __future__ import annotations

import json

from ..options import DataError, blaming
from .table import Table, table_of


def parse_json_lines(text: str, file: str, place: str) -> Table:
    """The table of a text with one JSON object a line. DataError where it is not one."""
    rows: list[dict[str, str]] = []
    nested: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would also split at characters inside captions
        if not line.strip():
            continue
        with blaming(f"line {number} of {place} is not JSON", "fix or remove it", (ValueError, RecursionError)):
            row = json.loads(line)
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {place} is not a JSON object", "fix or remove it")
        rows.append({key: str(value).strip() for key, value in row.items() if isinstance(value, str | int | float)})
        nested |= dict.fromkeys(key for key, value in row.items() if isinstance(value, list | dict))
    return table_of(file, rows, nested)
