"""Charts for the pages: numbers turned into the coordinates of an inline SVG, which the templates draw.

An SVG within the page takes the page's colours, so that it follows light and dark, and stays sharp at any width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import fmean
from typing import Any, NamedTuple

WIDTH, HEIGHT = 420, 230  # of the drawing, in its own units: small, so that its text is readable on a phone
LEFT, RIGHT, TOP, BOTTOM = 48, 20, 14, 30  # margins
POINTS = 300  # of a curve: longer ones are drawn as the means of so many parts
ROW = 24  # height of a row of dots


class Series(NamedTuple):
    """One curve: (step, value) in order of the steps, finite."""

    name: str
    points: list[tuple[float, float]]


class Tick(NamedTuple):
    """A mark of an axis."""

    at: float  # in the units of the drawing
    text: str


@dataclass(frozen=True)
class Axis:
    """A scale from values to the drawing: `low` lies at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies, to a tenth of a unit."""
        low, high, v = (map(math.log10, (self.low, self.high, value))) if self.log else (self.low, self.high, value)
        return round(self.start + (v - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self, count: int = 5) -> list[Tick]:
        """About `count` round values, or the powers of ten of a logarithmic axis."""
        values = decades(self.low, self.high, count) if self.log else round_values(self.low, self.high, count)
        return [Tick(self.at(value), text) for value, text in zip(values, distinct(values), strict=True)]


@dataclass(frozen=True)
class Chart:
    """Curves over the steps. `levels` are named values that the curves are to be seen against."""

    title: str
    series: tuple[Series, ...]
    note: str = ""
    levels: tuple[tuple[str, float], ...] = ()
    log: bool = False
    bounds: tuple[float, float] | None = None  # of the values, where they are known beforehand
    width, height = WIDTH, HEIGHT

    @cached_property
    def x(self) -> Axis:
        steps = [step for series in self.series for step, _ in series.points]
        low, high = min(steps), max(steps)
        return Axis(low, high if high > low else low + 1, LEFT, WIDTH - RIGHT)

    @cached_property
    def y(self) -> Axis:
        values = [value for series in self.series for _, value in series.points] + [value for _, value in self.levels]
        low, high = self.bounds or span(values, self.log)
        return Axis(low, high, HEIGHT - BOTTOM, TOP, self.log)

    def line(self, series: Series) -> str:
        """The corners of a curve, as SVG writes them."""
        return " ".join(f"{self.x.at(step)},{self.y.at(value)}" for step, value in series.points)

    @property
    def summary(self) -> str:
        """What the chart shows, for whoever cannot see it."""
        parts = [
            f"{s.name} from {short(s.points[0][1])} to {short(s.points[-1][1])}"
            + (f", between {short(min(v for _, v in s.points))} and {short(max(v for _, v in s.points))}")
            for s in self.series
        ]
        steps = f"steps {short(self.x.low)} to {short(max(step for s in self.series for step, _ in s.points))}"
        return f"{self.title} over {steps}: {'; '.join(parts)}."

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script needs to show values under the pointer."""
        series = [
            {"name": s.name, "points": [[x, short(y), self.x.at(x), self.y.at(y)] for x, y in s.points]}
            for s in self.series
        ]
        return {"width": WIDTH, "series": series}


@dataclass(frozen=True)
class Row:
    """One row of a dot chart: the values of its runs."""

    name: str
    values: tuple[float, ...]
    median: float | None = None  # None: not drawn
    failed: int = 0


@dataclass(frozen=True)
class Dots:
    """One figure of several groups of runs, a row a group and a dot a run."""

    title: str
    rows: tuple[Row, ...]
    note: str = ""
    levels: tuple[tuple[str, float], ...] = ()
    log: bool = False
    bounds: tuple[float, float] | None = None
    width = WIDTH

    @property
    def height(self) -> float:
        return TOP + ROW * len(self.rows) + BOTTOM

    @cached_property
    def x(self) -> Axis:
        values = [value for row in self.rows for value in row.values] + [value for _, value in self.levels]
        low, high = self.bounds or span(values, self.log)
        return Axis(low, high, 96, WIDTH - RIGHT, self.log)

    def y(self, i: int) -> float:
        """The middle of row `i`."""
        return TOP + ROW * (i + 0.5)

    @property
    def summary(self) -> str:
        """What the chart shows, for whoever cannot see it."""
        told = [f"{row.name} {', '.join(map(short, row.values))}" for row in self.rows if row.values]
        return f"{self.title}: {'; '.join(told)}."


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points, or where they are too many to draw, the means of equal parts, each at the part's last step."""
    if len(points) <= POINTS:
        return points
    edges = [len(points) * i // POINTS for i in range(POINTS + 1)]
    parts = [points[a:b] for a, b in pairwise(edges)]
    return [(part[-1][0], fmean(y for _, y in part)) for part in parts]


def span(values: Sequence[float], log: bool) -> tuple[float, float]:
    """Bounds that hold all values with a little air; of equal values, some air on both sides."""
    if log:
        low, high = min(values), max(values)
        return 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high) + 1e-9)
    low, high = min(values), max(values)
    air = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return (0.0 if 0 <= low <= air else low - air), high + air


def round_values(low: float, high: float, count: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within the bounds, about `count` of them."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def decades(low: float, high: float, count: int) -> list[float]:
    """Powers of ten within the bounds, every one or every so many."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first) / count))
    return [10.0**power for power in range(first, last + 1, every)]


def distinct(values: Sequence[float]) -> list[str]:
    """Different numbers as texts that differ: short, or with as many digits as that takes."""
    told = [short(value) for value in values]
    for digits in range(4, 17):
        if len(set(told)) == len(values):
            break
        told = [f"{value:,.{digits}g}" for value in values]
    return told


def short(value: float) -> str:
    """A number in as few characters as tell it: 0.693, 12.5, 1,500, 2.0e-05."""
    size = abs(value)
    if value == 0 or (size >= 1 and float(value).is_integer() and size < 1e6):
        return f"{value or 0:,.0f}"  # no minus before a zero
    if size >= 1e6 or size < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if size >= 999.5 else f"{value:.3g}"
