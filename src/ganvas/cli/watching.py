"""The bar that shows how far a command has come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def watched(items: Iterable[Item], total: int, what: str = "filming") -> Iterable[Item]:
    """The items, with a bar on a terminal; where they are fewer than `total`, it stays short."""
    console = Console(stderr=True)
    return track(items, what, total, console=console, transient=True) if console.is_terminal else items
