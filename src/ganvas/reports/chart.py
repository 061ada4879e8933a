"""Charts by Matplotlib. Within a page they are SVG in the page's colours, light and dark, and sharp at any width."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT, ROW = 420, 230, 24  # pixels: small, so that the text is readable on a phone; ROW: of a row of dots
LEFT, RIGHT, TOP, BOTTOM = 48, 20, 16, 30  # margins
NAMES = 96  # the left margin where names stand in it
LARGEST = 1e30  # of a number that is drawn
MAX_POINTS = 300  # of a curve; longer ones are drawn as the means of parts
# A colour of a figure -> that of the page which stands for it there (style.css).
BLUE, INK, FAINT, LINE = "#1a62c7", "#1c2024", "#5d656e", "#dfe2e6"
CURVES = (BLUE, "#b6470b", "#14743a", "#7b3fc4")
PAGE = {**{colour: f"--c{i}" for i, colour in enumerate(CURVES)}, INK: "--ink", FAINT: "--faint", LINE: "--line"}
DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))

# What the SVG gets in place of a pattern: the page's font, and no id, since all charts have the same.
CLEANED = {
    "": r"font-family: [^;\"]*; |<g id=\"[^\"]*\"/>\s*",
    r"font-size: \1px": r"font: ([\d.]+)px [^;\"]*",
    "<g>": r'<g id="[^"]*">',
}

Mark = tuple[float, float | None, str]  # x and y in the drawing, and what is there; without y: at any height


class Series(NamedTuple):
    """One curve: (step, value) in order of the steps, finite."""

    name: str
    points: list[tuple[float, float]]


class Row(NamedTuple):
    """One row of dots: the values of its runs."""

    name: str
    values: tuple[float, ...]
    median: float | None = None  # None: not drawn
    failed: int = 0


@dataclass(frozen=True)
class Chart(ABC):
    """What every chart has. `levels` are named values to compare with."""

    title: str
    content: tuple[Series, ...] | tuple[Row, ...]
    note: str = ""
    levels: tuple[tuple[str, float], ...] = ()
    log: bool = False
    bounds: tuple[float, float] | None = None  # of the values, where they are known beforehand
    left, height = LEFT, HEIGHT

    @abstractmethod
    def draw(self, axes: Axes) -> None:
        """Draw it."""

    @abstractmethod
    def marks(self, axes: Axes) -> list[Mark]:
        """What is shown under the pointer, in the order of the arrow keys."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """What the chart shows, for readers who cannot see it."""

    @cached_property
    def drawn(self) -> tuple[Markup, list[Mark]]:
        """The SVG, and its marks."""
        import matplotlib
        from matplotlib.figure import Figure  # here, since it is slow to import

        height = self.height
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        box = (
            self.left / WIDTH,
            BOTTOM / height,
            (WIDTH - self.left - RIGHT) / WIDTH,
            (height - TOP - BOTTOM) / height,
        )
        axes, buffer = figure.add_axes(box), StringIO()
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": self.title, "text.parse_math": False}):
            self.draw(axes)
            marks = [(x, None if y is None else height - y, text) for x, y, text in self.marks(axes)]
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        body = buffer.getvalue().partition("</defs>")[2]  # the style sheet before it would be the page's
        for ours, pattern in CLEANED.items():
            body = re.sub(pattern, ours, body)
        for colour, name in PAGE.items():
            body = body.replace(colour, f"var({name})")
        hand = f'<line class="hand" y1="{TOP}" y2="{height - BOTTOM}"/>'
        label = f'viewBox="0 0 {WIDTH} {height}" role="img" tabindex="0" aria-label="{escape(self.summary)}"'
        return Markup(f'<svg class="plot" {label}>{body.replace("</svg>", hand + "</svg>")}'), marks


class Curves(Chart):
    """Curves over the steps."""

    content: tuple[Series, ...]

    def draw(self, axes: Axes) -> None:
        for i, series in enumerate(self.content):
            style = {"color": CURVES[i % len(CURVES)], "linestyle": DASHES[i % len(DASHES)]}
            axes.plot(*zip(*series.points, strict=True), linewidth=1.8, **style)
        steps = self.steps
        axes.set_xlim(steps[0], steps[-1] + (steps[-1] == steps[0]))
        if self.log:
            axes.set_yscale("log")
            values = [value for series in self.content for _, value in series.points]
            axes.set_ylim(10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)) + 1e-9))
        if self.bounds:
            axes.set_ylim(*self.bounds)
        style_axes(axes)
        for name, value in self.levels:
            axes.axhline(value, color=FAINT, linestyle=":", linewidth=1)
            place = axes.get_yaxis_transform()
            axes.text(1, value, name, color=FAINT, fontsize=11, ha="right", va="bottom", transform=place)

    def marks(self, axes: Axes) -> list[Mark]:
        def near(series: Series, step: float) -> str:
            return f"{series.name} {short(min(series.points, key=lambda point: abs(point[0] - step))[1])}"

        texts = [f"step {step:,g}: {', '.join(near(series, step) for series in self.content)}" for step in self.steps]
        places = axes.transData.transform([(step, 1) for step in self.steps])
        return [(round(float(x), 1), None, text) for (x, _), text in zip(places, texts, strict=True)]

    @property
    def steps(self) -> list[float]:
        """All that some curve has a value at."""
        return sorted({step for series in self.content for step, _ in series.points})

    @property
    def summary(self) -> str:
        parts = [
            f"{s.name} from {short(s.points[0][1])} to {short(s.points[-1][1])}"
            + (f", between {short(min(v for _, v in s.points))} and {short(max(v for _, v in s.points))}")
            for s in self.content
        ]
        return f"{self.title} over steps {short(self.steps[0])} to {short(self.steps[-1])}: {'; '.join(parts)}."


class Dots(Chart):
    """One figure of several groups of runs, a row a group and a dot a run."""

    content: tuple[Row, ...]
    left = NAMES

    @property
    def height(self) -> int:
        return TOP + ROW * len(self.content) + BOTTOM

    def draw(self, axes: Axes) -> None:
        for i, row in enumerate(self.content):
            axes.scatter(row.values, [i] * len(row.values), s=60, c=BLUE, alpha=0.55, linewidths=0)
            if row.median is not None:
                axes.plot([row.median] * 2, [i - 0.3, i + 0.3], color=INK, linewidth=2.5)
        if self.log:
            axes.set_xscale("log")
        axes.set_yticks(range(len(self.content)), [row.name for row in self.content])
        axes.set_ylim(len(self.content) - 0.5, -0.5)
        style_axes(axes, names=True)
        for name, value in self.levels:
            axes.axvline(value, color=FAINT, linestyle=":", linewidth=1)
            place = axes.get_xaxis_transform()
            axes.text(value, 1, name, color=FAINT, fontsize=11, ha="center", va="bottom", transform=place)
        for i, row in enumerate(self.content):
            if row.failed:
                text = f"{row.failed} failed"
                axes.text(
                    1, i, text, color=FAINT, fontsize=11, ha="right", va="center", transform=axes.get_yaxis_transform()
                )

    def marks(self, axes: Axes) -> list[Mark]:
        found = [(value, i, row.name) for i, row in enumerate(self.content) for value in row.values]
        places = axes.transData.transform([(value, i) for value, i, _ in found])
        texts = [f"{name}: {short(value)}" for value, _, name in found]
        return [(round(float(x), 1), round(float(y), 1), text) for (x, y), text in zip(places, texts, strict=True)]

    @property
    def summary(self) -> str:
        rows = [f"{row.name} {', '.join(map(short, row.values))}" for row in self.content if row.values]
        return f"{self.title}: {'; '.join(rows)}."


def style_axes(axes: Axes, names: bool = False) -> None:
    """The look of all charts: a faint grid, short numbers; `names` stand at the left."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    axes.grid(axis="x" if names else "both", color=LINE, linewidth=1)
    axes.tick_params(length=0, which="both", labelsize=11, labelcolor=FAINT, pad=6)
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    if names:
        axes.tick_params(axis="y", labelcolor=INK)
    for axis in (axes.xaxis, *([] if names else [axes.yaxis])):
        if axis.get_scale() == "log":
            axis.set_major_formatter(lambda value, _: short(value))
            axis.set_minor_formatter(lambda value, _: "")
        else:
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            axis.set_major_formatter(ScalarFormatter(useOffset=False))


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points; where they are too many to draw, the means of equal parts, each at the part's last step."""
    if len(points) <= MAX_POINTS:
        return points
    edges = [len(points) * i // MAX_POINTS for i in range(MAX_POINTS + 1)]
    parts = [points[a:b] for a, b in pairwise(edges)]
    return [(part[-1][0], fmean(y for _, y in part)) for part in parts]


def short(value: float) -> str:
    """A number in few characters: 0.693, 12.5, 1,500, 2.0e-05."""
    size = abs(value)
    if value == 0 or (size >= 1 and float(value).is_integer() and size < 1e6):
        return f"{value or 0:,.0f}"  # no minus before a zero
    if size >= 1e6 or size < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if size >= 999.5 else f"{value:.3g}"
