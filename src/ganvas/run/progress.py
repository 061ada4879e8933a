"""Showing a run while it trains: a bar on a terminal and in a notebook, plain lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Sequence

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.progress import track as rich_track
from rich.text import Text

from .budget import Progress
from .interrupt import deferred


def follow(steps: Generator[Progress, None, None], console: Console | None = None) -> None:
    """Train to the end, and show how it goes."""
    console = console or Console(highlight=False, soft_wrap=True)
    if not (console.is_terminal or console.is_jupyter):
        lines = Lines(console)
        try:
            each(steps, lines.show)
        finally:
            lines.finish()
        return
    columns = (TextColumn("step {task.fields[step]:,}"), BarColumn(), Left(), TextColumn("{task.fields[text]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("train", total=1.0, step=0, text="")

        def move(progress: Progress) -> None:
            if progress.means is not None:
                bar.update(task, text=summary(progress))
            bar.update(task, completed=progress.share, step=progress.step)

        each(steps, move)


class Lines:
    """Plain lines for files and pipes: at most one for each percent of the budget, and always the last."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.percent = -1  # of the budget, when a line was last printed
        self.kept: Progress | None = None

    def show(self, progress: Progress) -> None:
        if progress.means is None:
            return
        self.kept = progress
        if int(100 * progress.share) > self.percent:
            self.finish()

    def finish(self) -> None:
        """Print the line that is due, if one is."""
        if self.kept is not None:
            self.console.print(line(self.kept))
            self.percent, self.kept = int(100 * self.kept.share), None


def each(steps: Generator[Progress, None, None], show: Callable[[Progress], None]) -> None:
    """Show every step. Ctrl-C, whenever it comes, is handed to the training, which ends a step later and saves."""
    asked = threading.Event()
    with deferred(asked):  # all the time: between two steps too there is no moment at which it could tear them apart
        for progress in steps:
            show(progress)
            if asked.is_set():
                steps.throw(KeyboardInterrupt())


def track(names: Sequence[str]) -> Iterable[str]:
    """The names, with a bar on a terminal that tells how many of them have been dealt with."""
    console = Console()
    return rich_track(names, "reading", console=console, transient=True) if console.is_terminal else names


def line(progress: Progress) -> str:
    """What a logging step says where there is no bar."""
    return f"step {progress.step:,} ({progress.share:.0%}, {clock(progress.seconds)})  {summary(progress)}"


def summary(progress: Progress) -> str:
    """Losses, accuracies and speed: what one line has room for of a logging step."""
    means = progress.means or {}
    parts = [f"{name.removesuffix('/loss')} {value:.3f}" for name, value in means.items() if name.endswith("/loss")]
    real, fake = means.get("critic/accuracy_real"), means.get("critic/accuracy_fake")
    if real is not None and fake is not None:
        parts.append(f"accuracy {real:.0%} real {fake:.0%} fake")
    parts += [f"{name.replace('/', ' ')} {value:.1%}" for name, value in means.items() if name.endswith("/accuracy")]
    if progress.speed is not None:
        parts.append(f"{progress.speed:,.0f} images/s")
    parts += [f"{kind}!" for kind in progress.findings]
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """75 -> '1:15'; hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Left(ProgressColumn):
    """The time that is left, from the share of the budget that this process has spent so far."""

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        return Text("" if left is None else f"{clock(left)} left")
