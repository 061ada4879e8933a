"""Charts: what is drawn, what is under the pointer, and what is said to readers who cannot see them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganvas.reports import chart
from ganvas.reports.curves import charts

NUMBERS = st.floats(-1e9, 1e9).filter(lambda v: v == 0 or abs(v) > 1e-9)


def curves(values: list[float], log: bool = False) -> chart.Curves:
    return chart.Curves("Losses", (chart.Series("critic", [(float(i), v) for i, v in enumerate(values)]),), log=log)


@settings(max_examples=15, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=9))
def test_every_value_has_a_mark_within_the_drawing(values: list[float]) -> None:
    svg, marks = curves(values).drawn
    assert len(marks) == len(values)
    assert all(chart.LEFT - 0.1 <= x <= chart.WIDTH - chart.RIGHT + 0.1 for x, _, _ in marks)
    assert marks[-1][2].startswith(f"step {len(values) - 1}: critic ")
    assert f'viewBox="0 0 {chart.WIDTH} {chart.HEIGHT}"' in svg


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=9))
def test_a_logarithmic_scale_has_numbers(values: list[float]) -> None:
    svg, _ = curves(values, log=True).drawn
    assert len(re.findall(r"<text", svg)) >= 3


def test_a_chart_has_the_colours_of_the_page_and_words() -> None:
    svg, _ = chart.Curves("A & B", curves([1, 2]).content, levels=(("<undecided>", 1.5),)).drawn
    for part in (
        "var(--c0)",
        "var(--faint)",
        "var(--line)",
        'role="img"',
        'aria-label="A &amp; B over',
        "&lt;undecided&gt;",
    ):
        assert part in svg
    assert "#" not in re.sub(r'(url\(|href=")#\w+', "", svg) and "DejaVu" not in svg


def test_the_dots_of_runs_are_found_under_the_pointer() -> None:
    rows = (chart.Row("ns", (0.5, 2.0), median=2.0, failed=1), chart.Row("wgan-gp", ()))
    drawn = chart.Dots("coverage", rows, levels=(("real data", 1.0),))
    svg, marks = drawn.drawn
    assert [text for _, _, text in marks] == ["ns: 0.5", "ns: 2"]
    assert marks[0][0] < marks[1][0] and marks[0][1] == marks[1][1] == pytest.approx(chart.TOP + chart.ROW / 2)
    assert all(text in svg for text in ("ns", "wgan-gp", "1 failed", "real data"))
    assert drawn.summary == "coverage: ns 0.5, 2."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.6931, "0.693"),
        (12.5, "12.5"),
        (1500.0, "1,500"),
        (999.6, "1,000"),
        (-0.0, "0"),
        (2e-5, "2.0e-05"),
        (-3.0, "-3"),
        (2e6, "2.0e+06"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert chart.short(value) == text


def test_long_curves_are_means_of_equal_parts() -> None:
    points = [(float(i), float(i % 2)) for i in range(4 * chart.MAX_POINTS)]
    thin = chart.thinned(points)
    assert len(thin) == chart.MAX_POINTS
    assert thin[-1] == (points[-1][0], 0.5)
    assert chart.thinned(points[:10]) == points[:10]


def test_the_summary_says_what_the_curve_does() -> None:
    drawn = chart.Curves("Losses", (chart.Series("critic", [(50, 2.0), (100, 0.5), (150, 1.0)]),))
    assert drawn.summary == "Losses over steps 50 to 150: critic from 2 to 1, between 0.5 and 2."


LINES = [
    {
        "step": step,
        "seconds": 1.0,
        "critic/loss": 1.4,
        "generator/loss": 0.7,
        "critic/grad_norm": 0.1 * step,
        "monitor/coverage": 0.5,
        "monitor/diversity": 0.9,
        "mine/own": math.nan if step == 50 else 3.0,
        "findings": [],
    }
    for step in (50, 100, 150)
]


def test_what_belongs_together_shares_a_chart_and_nothing_is_left_out() -> None:
    made = {c.title: [s.name for s in c.content] for c in charts(LINES, {"options": {}})}
    assert made == {
        "Losses": ["critic", "generator"],
        "Gradient norms": ["critic"],
        "Coverage and variety": ["coverage", "diversity"],
        "mine/own": ["own"],
    }


def test_what_is_not_finite_is_left_out() -> None:
    (mine,) = (c for c in charts(LINES, {"options": {}}) if c.title == "mine/own")
    assert mine.content[0].points == [(100, 3.0), (150, 3.0)]


@pytest.mark.parametrize(
    ("objective", "levels"),
    [
        ("ns", [2 * math.log(2), math.log(2)]),
        ("lsgan", [0.5, 0.25]),
        ("r3gan", [math.log(2)]),
        ("wgan", [0.0]),
        ("began", []),
    ],
)
def test_losses_are_set_against_a_critic_that_cannot_tell(objective: str, levels: list[float]) -> None:
    losses = charts(LINES, {"options": {"objective": objective}})[0]
    assert [value for _, value in losses.levels] == pytest.approx(levels)
    assert ("cannot tell" in losses.note) == bool(levels)


def test_losses_of_another_family_are_set_against_nothing() -> None:
    lines = [{"step": 1, "seconds": 1.0, "critic/loss": 2.0, "autoencoder/loss": 0.5}]  # as a VQGAN logs
    assert charts(lines, {"options": {"objective": "hinge"}})[0].levels == ()
