"""The numbers of the charts: scales, ticks, thinning, and what is told to whoever cannot see them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganvas.reports import chart
from ganvas.reports.curves import charts

NUMBERS = st.floats(-1e9, 1e9).filter(lambda v: v == 0 or abs(v) > 1e-9)


@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_every_value_lies_within_the_drawing(values: list[float]) -> None:
    drawn = chart.Chart("x", (chart.Series("s", list(enumerate(values))),))
    for corner in drawn.line(drawn.series[0]).split():
        x, y = map(float, corner.split(","))
        assert chart.LEFT <= x <= chart.WIDTH - chart.RIGHT
        assert chart.TOP <= y <= chart.HEIGHT - chart.BOTTOM


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=30))
def test_a_logarithmic_scale_holds_every_value_and_has_a_tick(values: list[float]) -> None:
    axis = chart.Axis(*chart.span(values, log=True), 0, 100, log=True)
    assert all(-0.05 <= axis.at(value) <= 100.05 for value in values)
    assert axis.ticks()


@given(NUMBERS, st.floats(1e-3, 1e6))
def test_ticks_are_round_evenly_spaced_and_within_the_bounds(low: float, size: float) -> None:
    values = chart.round_values(low, low + size, 5)
    assert 2 <= len(values) <= 7
    assert all(low - 1e-6 * size <= value <= low + size + 1e-6 * size for value in values)
    gaps = [b - a for a, b in pairwise(values)]
    assert all(gap == pytest.approx(gaps[0], rel=1e-3, abs=1e-6 * size) for gap in gaps)


@pytest.mark.parametrize(("low", "high"), [(1.3861, 1.3869), (0.9991, 0.9999), (12345.1, 12346.9), (1e6, 1.3e6)])
def test_ticks_can_be_told_apart(low: float, high: float) -> None:
    told = [tick.text for tick in chart.Axis(low, high, 0, 100).ticks()]
    assert len(set(told)) == len(told) > 2
    assert all(low <= float(text.replace(",", "")) <= high for text in told)


def test_large_values_lie_higher() -> None:
    axis = chart.Axis(1, 100, 200, 0, log=True)
    assert [axis.at(v) for v in (1, 10, 100)] == [200, 100, 0]


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
    points = [(float(i), float(i % 2)) for i in range(4 * chart.POINTS)]
    thin = chart.thinned(points)
    assert len(thin) == chart.POINTS
    assert thin[-1] == (points[-1][0], 0.5)
    assert chart.thinned(points[:10]) == points[:10]


def test_the_summary_says_what_the_curve_does() -> None:
    drawn = chart.Chart("Losses", (chart.Series("critic", [(50, 2.0), (100, 0.5), (150, 1.0)]),))
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
    made = {c.title: [s.name for s in c.series] for c in charts(LINES, {"options": {}})}
    assert made == {
        "Losses": ["critic", "generator"],
        "Gradient norms": ["critic"],
        "Coverage and variety": ["coverage", "diversity"],
        "mine/own": ["own"],
    }


def test_what_is_not_finite_is_left_out() -> None:
    (mine,) = (c for c in charts(LINES, {"options": {}}) if c.title == "mine/own")
    assert mine.series[0].points == [(100, 3.0), (150, 3.0)]


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
