"""What the monitor measures of samples that are known, and what it says of logs that are known."""

from __future__ import annotations

import math
import re

import pytest
import torch

from ganvas.data import Dataset, open_data
from ganvas.features import open_features
from ganvas.monitor import COPIED, EXPLANATIONS, RULES, WINDOW, Finding, Probe, diverged, judge, symptoms

Line = dict[str, object]


def look(step: int, distance: float, **figures: float) -> Line:
    """A line of a log, healthy but for what is given; a.b stands for critic/accuracy and the like."""
    line = {"monitor/diversity": 0.9, "monitor/entropy": 0.95, "monitor/offset_1": 0.0, "monitor/offset_2": 0.0}
    critic = {"critic/accuracy_real": 0.7, "critic/accuracy_fake": 0.7, "critic/grad_norm": 1.0}
    named = {name.replace("__", "/"): value for name, value in figures.items()}
    return {"step": step, "monitor/distance": distance, **line, **critic, **named}


def log(distances: list[float], **figures: float) -> list[Line]:
    return [look(100 * i, distance, **figures) for i, distance in enumerate(distances, start=1)]


def kinds(lines: list[Line]) -> list[str]:
    return [finding.kind for finding in judge(lines)]


LEARNING = [2.0, 1.2, 0.8, 0.5, 0.3, 0.2, 0.12, 0.08, 0.05, 0.05, 0.05, 0.05]
STUCK = [1.5, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]

SICK = {
    "divergence": [
        log([*LEARNING, 2.0, 8.0]),  # was near, and left
        [*log(LEARNING), look(1300, 0.05, generator__grad_norm=5e4), look(1400, 0.05, generator__grad_norm=9e6)],
    ],
    "collapse": [
        log(STUCK, monitor__diversity=0.1),
        log(STUCK, monitor__entropy=0.2),
        log([1.3, 1.1, 1.1, 1.1], monitor__entropy=0.2, monitor__diversity=0.2),  # nearer, and worse than the mean
        [*log(LEARNING), *(look(1300 + 100 * i, 0.3, monitor__diversity=0.2) for i in range(WINDOW))],
    ],
    "posterior-collapse": [
        log(STUCK, vae__active_units=0.4),
        log(STUCK, vae__active_units=0.0, monitor__diversity=0.0),
        log(LEARNING, vae__active_units=0.0),
    ],
    "oscillation": [
        [look(100 * i, 0.4, monitor__offset_1=math.cos(2 * i), monitor__offset_2=math.sin(2 * i)) for i in range(1, 12)]
    ],
    "critic-overpowers": [log(STUCK, critic__accuracy_real=0.99, critic__accuracy_fake=1.0)],
    "critic-blind": [
        log(STUCK, critic__accuracy_real=0.5, critic__accuracy_fake=0.52),
        log(STUCK, critic__accuracy_real=1.0, critic__accuracy_fake=0.0),
        log([4.0] * 6, critic__accuracy_real=0.6, critic__accuracy_fake=0.6),
    ],
    "copying": [log(LEARNING, monitor__copies=0.9)],
    "decline": [
        log([*LEARNING, 0.2, 0.32, 0.4, 0.4, 0.32]),
        log([0.5, 0.4, *[0.65] * WINDOW]),
    ],
    "stall": [
        log([1.5, *[0.8] * 2 * WINDOW], monitor__diversity=0.5),
        log([0.75 - 0.005 * i for i in range(2 * WINDOW)]),
    ],
}


@pytest.mark.parametrize(("kind", "lines"), [(kind, lines) for kind, logs in SICK.items() for lines in logs])
def test_each_sickness_is_named_and_nothing_else(kind: str, lines: list[Line]) -> None:
    assert kinds(lines) == [kind]
    assert symptoms(lines) == [kind]


HEALTHY = {
    "learning": log(LEARNING),
    "learning slowly with samples that are alike": log([2 * 0.95**i for i in range(30)], monitor__diversity=0.1),
    "a critic that wins while the generator learns": log(
        [2 * 0.9**i for i in range(30)], critic__accuracy_real=1.0, critic__accuracy_fake=1.0
    ),
    "the equilibrium": log([*LEARNING, *[0.04] * 20], critic__accuracy_real=0.5, critic__accuracy_fake=0.5),
    "one bad look": [*log(LEARNING), look(1300, 3.0, monitor__diversity=0.0), *log(LEARNING[-4:])],
    "moving far while learning": [look(100 * i, 2 * 0.9**i, monitor__offset_1=math.cos(2 * i)) for i in range(1, 20)],
    "as many copies as there are by chance": log(LEARNING, monitor__copies=COPIED / 2),
    "too few looks": log([3.0] * (WINDOW - 1), monitor__diversity=0.0, critic__accuracy_fake=0.0),
    "no critic": [{key: value for key, value in line.items() if "/acc" not in key} for line in log(LEARNING)],
    "stuck without a critic": [
        {key: value for key, value in line.items() if "critic" not in key} for line in log(STUCK, vae__active_units=9.0)
    ],
    "no unit active yet": [look(100, 2.0, vae__active_units=0.0), *log([1.0] * WINDOW, vae__active_units=1.0)],
    "far and no nearer, but better than the average": log([0.6] * 20),
    "hopeless, but not yet for long": log([0.8] * (2 * WINDOW - 1)),
    "hopeless until it learnt": log([*[0.9] * (2 * WINDOW - 1), 0.7, 0.6, 0.5]),
    "a worse time that passes": log([*LEARNING, *[0.4] * (WINDOW - 1), 0.2]),
    "worse than it was, and still near": log([0.05, *[0.2] * WINDOW]),
    "never looked at": [{"step": 50, "critic/loss": 1.0}],
    "empty": [],
}


@pytest.mark.parametrize("name", HEALTHY)
def test_health_is_left_alone(name: str) -> None:
    assert judge(HEALTHY[name]) == []


def test_a_finding_keeps_the_step_at_which_it_was_seen_first() -> None:
    lines = log(STUCK, monitor__diversity=0.1)
    (found,) = judge(lines)
    assert found == Finding("collapse", 100 * (WINDOW + 2), *EXPLANATIONS["collapse"])
    assert judge(lines[: WINDOW + 1]) == []  # the second look was nearer than the first
    assert judge(lines + log(LEARNING[3:])) == [found]  # it recovered, and has been sick
    assert symptoms(lines + log(LEARNING[3:])) == []
    between = [{"step": 150, "critic/loss": 1.0}]  # lines without numbers of the monitor say nothing
    assert judge([*lines[:1], *between, *lines[1:]]) == [found]


def test_what_says_why_is_said_instead_of_what_is_vague() -> None:
    assert symptoms(log(STUCK)) == ["stall"]
    assert symptoms(log(STUCK, critic__accuracy_real=0.99, critic__accuracy_fake=1.0)) == ["critic-overpowers"]
    declined = [0.4, *[0.65] * WINDOW]
    assert symptoms(log(declined)) == ["decline"]
    assert symptoms(log(declined, monitor__entropy=0.1)) == ["collapse"]


def test_every_kind_has_its_words_which_name_options_that_exist() -> None:
    from ganvas.recipes import recipe

    assert set(EXPLANATIONS) == set(RULES) == set(SICK)
    options = vars(recipe("gan")) | vars(recipe("vae"))
    for meaning, advice in EXPLANATIONS.values():
        assert meaning.endswith(".") and advice.endswith(".")
        for name in re.findall(r"(\w+)=", advice):
            assert name in options or name in ("precision", "on_collapse")
    assert diverged(7) == Finding("divergence", 7, *EXPLANATIONS["divergence"])


# -- the probe ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return open_data("digits")


@pytest.fixture(scope="module")
def probe(digits: Dataset) -> Probe:
    return Probe(open_features("pixels", dataset=digits), digits)


def some(dataset: Dataset, seed: int, count: int = 512) -> torch.Tensor:
    return dataset.at(torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))[:count]).x


def test_real_items_measure_as_perfect_but_for_being_copies(probe: Probe, digits: Dataset) -> None:
    figures = probe.measure(some(digits, 1))
    assert figures["monitor/distance"] < 0.03
    assert figures["monitor/coverage"] > 0.9
    assert figures["monitor/diversity"] == pytest.approx(1, abs=0.03)
    assert figures["monitor/entropy"] == pytest.approx(1, abs=0.03)
    assert figures["monitor/copies"] == 1.0
    assert all(abs(figures[f"monitor/offset_{i}"]) < 0.2 for i in (1, 2, 3))


def test_the_mean_alone_is_at_distance_one(probe: Probe, digits: Dataset) -> None:
    mean = digits.at(torch.arange(len(digits))).x.mean(0, keepdim=True)
    figures = probe.measure(mean.expand(512, -1, -1, -1))
    assert figures["monitor/distance"] == pytest.approx(1, abs=0.02)
    assert (figures["monitor/diversity"], figures["monitor/entropy"]) == (pytest.approx(0, abs=1e-6), 0.0)
    assert figures["monitor/copies"] == 0.0


def test_one_class_is_narrow(probe: Probe, digits: Dataset) -> None:
    assert digits.labels is not None
    figures = probe.measure(digits.at(torch.nonzero(digits.labels == 3)[:, 0]).x)
    assert figures["monitor/entropy"] < 0.5
    assert figures["monitor/diversity"] < 0.8
    assert figures["monitor/coverage"] < 0.3


def test_offsets_are_in_standard_deviations() -> None:
    ring = open_data("ring")  # as wide in every direction
    x = ring.at(torch.arange(20_000)).x
    figures = Probe(open_features("auto", dataset=ring), ring).measure(x + torch.tensor([0.5 * x[:, 0].std(), 0.0]))
    assert math.hypot(figures["monitor/offset_1"], figures["monitor/offset_2"]) == pytest.approx(0.5, abs=0.05)


def test_points_have_modes_and_no_copies() -> None:
    ring = open_data("ring")
    assert ring.modes is not None
    probe = Probe(open_features("auto", dataset=ring), ring)
    figures = probe.measure(ring.modes.centres[:1] + ring.modes.sigma * torch.randn(512, 2))
    assert figures["monitor/diversity"] < 0.05
    assert figures["monitor/entropy"] < 0.45
    assert not {"monitor/copies", "monitor/offset_3"} & figures.keys()


def test_a_handful_of_equal_items_can_be_measured() -> None:
    same = Dataset("same", torch.full((16, 1, 8, 8), 100, dtype=torch.uint8))
    probe = Probe(open_features("pixels", dataset=same), same)
    figures = probe.measure(torch.randn(64, 1, 8, 8).clamp(-1, 1))
    assert all(math.isfinite(value) for value in figures.values())
