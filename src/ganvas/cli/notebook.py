"""Progress in a notebook: a bar in the cell, which vanishes when the work is done."""

from __future__ import annotations

from html import escape
from time import monotonic

from IPython.display import HTML, DisplayHandle, display  # pyright: ignore[reportMissingImports]

from ..progress import Progress

PATIENCE, REST = 0.5, 0.1  # seconds before a bar is shown at all, and between two updates


class Cell:
    """A bar in the cell that is running; work that is done at once has none."""

    def __init__(self) -> None:
        self.last: Progress | None = None
        self.handle: DisplayHandle | None = None
        self.due = monotonic() + PATIENCE

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self.handle is not None:
            self.handle.update(HTML(""))

    def note(self, text: str) -> None:
        """Print a line that stays."""
        print(text)

    def show(self, progress: Progress) -> None:
        """Move the bar, where that is due."""
        self.last = progress
        if monotonic() < self.due:
            return
        self.due = monotonic() + REST
        bar = f'<progress value="{progress.share}"></progress>' if progress.total else ""
        html = HTML(f"{bar} {escape(progress.label)} {escape(progress.text)}")
        if self.handle is None:
            self.handle = display(html, display_id=True)
        else:
            self.handle.update(html)
