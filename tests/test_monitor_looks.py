"""The judge of a long log, and the monitor's words for what its thresholds say."""

from __future__ import annotations

import random
import re
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from ganvas.data import open_data
from ganvas.features import open_features
from ganvas.monitor import COPIED, EXPLANATIONS, RULES, WINDOW, Measured, Probe, judge, rules, symptoms

Line = dict[str, float]


HEALTHY = {
    **{"monitor/diversity": 0.9, "monitor/entropy": 0.9, "monitor/offset_1": 0.0, "monitor/copies": 0.0},
    **{"critic/accuracy_real": 0.7, "critic/accuracy_fake": 0.7, "vae/active_units": 9.0, "critic/grad_norm": 1.0},
}


def drawn(seed: int, looks: int = 40) -> list[Line]:
    """A log in which sickness comes and goes."""
    chance, lines, ill = random.Random(seed), [], False
    dull = seed % 10 == 0  # sick in nothing but the distance
    for step in range(1, looks + 1):
        ill = ill != (chance.random() < 0.15)
        line = {**HEALTHY, "monitor/distance": 0.9 if ill else 2 * 0.9**step}
        if ill and not dull:
            line |= {
                "monitor/distance": chance.choice([0.1, 0.5, 2.0, 20.0]),
                "monitor/diversity": chance.choice([0.1, 0.9]),
                "monitor/entropy": chance.choice([0.3, 0.9]),
                "monitor/offset_1": chance.uniform(-1, 1),
                "critic/accuracy_real": chance.choice([0.5, 1.0]),
                "critic/accuracy_fake": chance.choice([0.5, 1.0]),
                "vae/active_units": chance.choice([0.0, 0.0, 9.0]),
                "critic/grad_norm": 10 ** chance.uniform(-2, 6),
            }
        if not dull:
            line["monitor/copies"] = 0.9 * (chance.random() < 0.2) if step < 20 else 0.9 * ill
        lines.append({"step": step, **line})
    return lines


def test_the_judge_says_what_every_look_says_of_all_before_it() -> None:
    told = set()
    for seed in range(150):
        lines, first = drawn(seed), {}
        for i in range(1, len(lines) + 1):
            for kind in symptoms(lines[:i]):
                first.setdefault(kind, i)
        assert {finding.kind: finding.step for finding in judge(lines)} == first
        told |= first.keys()
    assert told == set(EXPLANATIONS)  # or the logs would have shown too little


def test_the_judge_does_not_go_through_the_whole_log_at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def count(looks: Measured) -> bool:
        seen.append(len(looks))
        return False

    monkeypatch.setattr(rules, "RULES", {"collapse": count})
    judge(drawn(0, 500))
    assert len(seen) == 500 - WINDOW + 1
    assert max(seen) < 4 * WINDOW


def test_the_page_of_the_monitor_names_every_kind_and_threshold() -> None:
    page = (Path(__file__).parents[1] / "docs" / "monitor.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(RULES)
    for threshold in (rules.FAR, rules.HOPELESS, rules.ALIKE, rules.NARROW, rules.WORSE):
        assert f" {threshold}" in page
    assert f"above {rules.HUGE:.0f}" in page


def test_copying_is_said_of_the_share_at_which_it_is_found() -> None:
    assert "more than a fifth of its samples" in EXPLANATIONS["copying"][0]
    assert Fraction(COPIED).limit_denominator(100) == Fraction(1, 5)


@pytest.mark.parametrize("size", [1e14, 1e16, 1e30, float("inf"), float("nan")])
def test_immense_samples_are_infinitely_far(size: float) -> None:
    ring = open_data("ring")
    probe = Probe(open_features("auto", dataset=ring), ring)
    figures = probe.measure(size * torch.randn(512, 2, generator=torch.Generator().manual_seed(0)))
    if size == 1e14:  # which can still be measured
        assert 1e27 < figures["monitor/distance"] < 1e30
    else:
        assert figures == {"monitor/distance": float("inf")}


def test_images_out_of_range_are_seen_as_they_would_be_saved() -> None:
    digits = open_data("digits")
    probe, x = Probe(open_features("pixels", dataset=digits), digits), digits.at(torch.arange(200)).x
    assert probe.measure(30 * x) == probe.measure((30 * x).clamp(-1, 1))
    assert probe.measure(30 * x)["monitor/distance"] > 0.1
