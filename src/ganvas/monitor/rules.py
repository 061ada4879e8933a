"""Diagnoses a run by the measurements of the probe in its log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import dist, inf
from statistics import median
from typing import Any, NamedTuple

Line = Mapping[str, Any]  # of log.jsonl
Measured = Sequence[Line]  # the lines with measurements of the probe

# Chosen on the calibration half of benchmarks.monitor; docs/results.md has the rates on the other half.
WINDOW = 4  # measurements in a row that must agree, so that one bad moment is no finding
GAIN = 0.9  # of the best distance before: below this, training still makes progress
FAR = 0.3  # a distance that leaves much to learn
HOPELESS = 0.65  # a distance hardly better than the 1 that the data's mean alone would get
LOST = 10.0  # times the best distance: samples that have left the data behind
WORSE = 1.4  # times the best distance: samples that are clearly worse than they were
HUGE, GROWN = 300.0, 12.0  # a gradient norm, and how many times the first one, that are an explosion
ALIKE = 0.4  # a diversity ...
NARROW = 0.55  # ... and an entropy that healthy samples exceed
SURE, UNSURE = 0.9, 0.52  # accuracy of a critic that has won, and of one that guesses
SWING = 0.25  # how far the samples' mean moves between two measurements, in standard deviations, in circles
COPIED = 0.2  # a share of copies; of fresh real images it is near 0


class Finding(NamedTuple):
    """What is wrong with a run."""

    kind: str  # a key of RULES
    step: int  # the first with it
    meaning: str  # a sentence
    advice: str  # a sentence


def judge(lines: Sequence[Line]) -> list[Finding]:
    """What is wrong with a run, by its log so far: each kind once, at its first step.

    A pure function of the lines with `monitor/...` numbers, so that anyone can judge a log again. Rules need the first,
    the nearest and the last 2 * WINDOW of them; the others are dropped, so that a long log takes no longer per line.
    """
    measured: list[Line] = []
    seen: dict[str, int] = {}
    for line in (line for line in lines if "monitor/distance" in line):
        measured.append(line)
        for kind in symptoms(measured):
            seen.setdefault(kind, line["step"])
        if len(measured) > 2 * WINDOW + 2:
            one, other = distances(measured[1:3])
            del measured[1 if one > other else 2]
    return [Finding(kind, step, *EXPLANATIONS[kind]) for kind, step in seen.items()]


def symptoms(lines: Sequence[Line]) -> list[str]:
    """The kinds that hold at the last measurement."""
    measured = [line for line in lines if "monitor/distance" in line]
    found = [kind for kind, holds in RULES.items() if len(measured) >= WINDOW and holds(measured)]
    return [kind for kind in found if kind not in VAGUE] or found


def diverged(step: int) -> Finding:
    """The finding where a number is not finite."""
    return Finding("divergence", step, *EXPLANATIONS["divergence"])


def distances(measured: Measured) -> list[float]:
    """The distance at every measurement."""
    return [line["monitor/distance"] for line in measured]


def stuck(measured: Measured, window: int = WINDOW) -> bool:
    """Whether the last measurements are no nearer to the data than those before, at the start than the first."""
    d = distances(measured)
    before, recent = (d[:-window], d[-window:]) if len(d) > window else (d[:1], d[1:])
    return min(recent) > GAIN * min(before)


def accuracy(line: Line) -> float:
    """The critic's, over real and fake items alike: 1/2 where it guesses."""
    return (line["critic/accuracy_real"] + line["critic/accuracy_fake"]) / 2


def divergence(measured: Measured) -> bool:
    """The samples have left the data, or the gradients have exploded, twice in a row."""
    d = distances(measured)
    away = min(d[-2:]) > max(FAR, LOST * min(d[:-2]))
    norms = [max(line.get("critic/grad_norm", 0.0), line.get("generator/grad_norm", 0.0)) for line in measured]
    return away or min(norms[-2:]) > max(HUGE, GROWN * norms[0])


def collapse(measured: Measured) -> bool:
    """The samples are alike or cover few groups of the data, without progress; or both, and worse than the mean."""
    recent = measured[-WINDOW:]
    alike = all(line["monitor/diversity"] < ALIKE for line in recent)
    narrow = all(line["monitor/entropy"] < NARROW for line in recent)
    poor = (alike or narrow) and stuck(measured)
    lost = alike and narrow and min(distances(recent)) > 1  # here coming nearer is not yet progress
    return (poor or lost) and not posterior_collapse(measured)  # the more exact name


def posterior_collapse(measured: Measured) -> bool:
    """A variational autoencoder's codes do not depend on the images. Other families do not log codes."""
    return all(line.get("vae/active_units", inf) < 1 for line in measured[-WINDOW:])


def oscillation(measured: Measured) -> bool:
    """The samples' mean keeps moving far, without coming nearer to the data."""
    recent = measured[-2 * WINDOW :]
    if len(recent) < 2 * WINDOW or not stuck(measured, 2 * WINDOW - 1):
        return False
    places = [[value for name, value in line.items() if name.startswith("monitor/offset")] for line in recent]
    return median(map(dist, places, places[1:])) > SWING


def critic_overpowers(measured: Measured) -> bool:
    """The critic is nearly always right while the samples stay far, or mostly right while they are hopeless."""
    return far_while(measured, lambda line: accuracy(line) > (0.75 if line["monitor/distance"] > 1 else SURE))


def critic_blind(measured: Measured) -> bool:
    """The critic guesses while the samples stay far, or is mostly wrong while they are hopeless."""
    return far_while(measured, lambda line: accuracy(line) < (0.75 if line["monitor/distance"] > 1 else UNSURE))


def far_while(measured: Measured, holds: Callable[[Line], bool]) -> bool:
    """Whether the samples stay far from the data over the last measurements, and `holds` of each."""
    recent = measured[-WINDOW:]
    judged = all("critic/accuracy_real" in line for line in recent)  # other families have no critic
    return judged and min(distances(recent)) > FAR and all(map(holds, recent)) and stuck(measured)


def copying(measured: Measured) -> bool:
    """More than a fifth of the samples are nearly items of the data."""
    return all(line.get("monitor/copies", 0.0) > COPIED for line in measured[-WINDOW:])


def decline(measured: Measured) -> bool:
    """The samples are far from the data, were clearly nearer, and have not come back."""
    d = distances(measured)
    return min(d[-WINDOW:]) > max(FAR, WORSE * min(d[:-WINDOW], default=inf))


def stall(measured: Measured) -> bool:
    """The samples come no nearer for long while they are hopeless, whatever the critic does."""
    recent = measured[-2 * WINDOW :]
    judged = all("critic/accuracy_real" in line for line in recent)  # a blurry decoder may be as good as it can be
    long = len(recent) == 2 * WINDOW and stuck(measured, 2 * WINDOW - 1)
    return judged and long and min(distances(recent)) > HOPELESS


RULES: dict[str, Callable[[Measured], bool]] = {
    **{"divergence": divergence, "collapse": collapse, "posterior-collapse": posterior_collapse},
    **{"oscillation": oscillation, "critic-overpowers": critic_overpowers, "critic-blind": critic_blind},
    **{"copying": copying, "decline": decline, "stall": stall},
}
VAGUE = {"decline", "stall"}  # reported where no other rule says why

# kind -> (what it means, what to try)
EXPLANATIONS: dict[str, tuple[str, str]] = {
    "divergence": (
        "Training diverges: gradients explode, or samples that were near the data have left it.",
        "Try a lower learning rate (lr=1e-4), a penalty (penalty=r1:1) or precision=fp32.",
    ),
    "collapse": (
        "The generator has collapsed: its samples are alike, or leave out most kinds of items in the data.",
        "Try pack=2 or minibatch_stddev=true, a penalty (penalty=r1:1) or another seed.",
    ),
    "posterior-collapse": (
        "The posterior has collapsed: no unit of the latent depends on the image, and the decoder draws their average.",
        "Try a lower beta, beta_warmup=1000, free_bits=0.1 or a lower lr.",
    ),
    "oscillation": (
        "Training runs in circles: the generator moves from one kind of sample to another and comes no nearer.",
        "Try a moving average (ema=0.999), beta1=0, a penalty (penalty=r1:1) or a lower lr.",
    ),
    "critic-overpowers": (
        "The critic wins: it recognises nearly every sample, and the generator learns nothing from it.",
        "Try objective=ns or wgan-gp, a penalty (penalty=r1:1), augment=diffaugment for images, or a lower critic_lr.",
    ),
    "critic-blind": (
        "The critic cannot distinguish samples from the data, although they are far apart: its gradient is useless.",
        "Try a higher critic_lr, more critic_steps, a wider critic, a weaker penalty or a larger clip.",
    ),
    "copying": (
        "The generator copies its training set: more than a fifth of its samples are nearly one of the items.",
        "Try more data, augment=diffaugment, a smaller network (width=32) or fewer steps.",
    ),
    "decline": (
        "Training has gone backwards: the samples are far from the data, were clearly nearer, and have not come back.",
        "Take checkpoints/best, or try on_collapse=rollback, a falling learning rate (decay=-1), a lower one (lr=1e-4) "
        "or a moving average (ema=0.999).",
    ),
    "stall": (
        "Training has stalled far from the data: the samples stay little better than the average item.",
        "Try another learning rate (lr, critic_lr), a penalty (penalty=r1:1), beta1=0 or wider networks (width).",
    ),
}
