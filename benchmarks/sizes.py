"""The longest functions and files of src/: `make sizes`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
SHOWN = 15


def functions(file: Path) -> Iterator[tuple[int, str]]:
    """The lines of every function of a file, with its place; methods and inner functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield node.end_lineno - node.lineno + 1, f"{file.relative_to(SOURCE)}:{node.lineno} {node.name}"


def main() -> None:
    """Print both lists, the longest first, and the sum."""
    texts = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in sorted(SOURCE.rglob("*.py"))}
    lists = {
        "functions": [found for file in texts for found in functions(file)],
        "files": [(lines, str(file.relative_to(SOURCE))) for file, lines in texts.items()],
    }
    for what, found in lists.items():
        print(f"{len(found):,} {what}; the longest, in lines:")
        for lines, name in sorted(found, reverse=True)[:SHOWN]:
            print(f"{lines:6}  {name}")
    print(f"{sum(texts.values()):,} lines in all")


if __name__ == "__main__":
    main()
