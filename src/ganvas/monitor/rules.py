"""Judges the log of a run by what the probe has measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import dist, inf
from statistics import median
from typing import Any, NamedTuple

Line = Mapping[str, Any]  # of log.jsonl
Looks = Sequence[Line]  # the lines at which the probe has measured

# Chosen on the calibration half of benchmarks.monitor; docs/results.md has the rates on the other half.
WINDOW = 4  # looks in a row that must show the same, so that one bad moment is no finding
GAIN = 0.9  # of the best distance before: below this, training still makes progress
FAR = 0.3  # a distance that leaves much to learn
HOPELESS = 0.65  # a distance hardly better than the 1 that the data's mean alone would get
LOST = 10.0  # times the best distance: samples that have left the data behind
WORSE = 1.4  # times the best distance: samples that are clearly worse than they were
HUGE, GROWN = 300.0, 12.0  # a gradient norm, and how many times the first one, that are an explosion
ALIKE = 0.4  # a diversity ...
NARROW = 0.55  # ... and an entropy that healthy samples exceed
SURE, UNSURE = 0.9, 0.52  # accuracy of a critic that has won, and of one that guesses
SWING = 0.25  # how far the samples' mean moves between two looks, in standard deviations, when it runs in circles
COPIED = 0.2  # a share of copies; of fresh real images it is near 0


class Finding(NamedTuple):
    """What the monitor has to say of a run."""

    kind: str  # a key of RULES
    step: int  # at which it was seen first
    meaning: str  # a sentence
    advice: str  # a sentence


def judge(lines: Sequence[Line]) -> list[Finding]:
    """What is wrong with a run, by its log so far: each kind once, at the step where it was seen first.

    A pure function of the lines that hold `monitor/...` numbers, so that whoever has a log can judge it again.

    No rule asks for more than the first look, the nearest and the last 2 * WINDOW: the others are forgotten, so that a
    long log takes no longer for each of its looks than a short one.
    """
    looks: list[Line] = []
    seen: dict[str, int] = {}
    for look in (line for line in lines if "monitor/distance" in line):
        looks.append(look)
        for kind in symptoms(looks):
            seen.setdefault(kind, look["step"])
        if len(looks) > 2 * WINDOW + 2:
            one, other = distances(looks[1:3])
            del looks[1 if one > other else 2]
    return [Finding(kind, step, *WORDS[kind]) for kind, step in seen.items()]


def symptoms(lines: Sequence[Line]) -> list[str]:
    """The kinds that hold at the last look."""
    looks = [line for line in lines if "monitor/distance" in line]
    found = [kind for kind, holds in RULES.items() if len(looks) >= WINDOW and holds(looks)]
    return [kind for kind in found if kind not in VAGUE] or found


def diverged(step: int) -> Finding:
    """The finding where a number is not finite."""
    return Finding("divergence", step, *WORDS["divergence"])


def distances(looks: Looks) -> list[float]:
    """The distance at every look."""
    return [look["monitor/distance"] for look in looks]


def stuck(looks: Looks, window: int = WINDOW) -> bool:
    """Whether the last looks are no nearer to the data than those before; at the start, than the first of them."""
    d = distances(looks)
    before, recent = (d[:-window], d[-window:]) if len(d) > window else (d[:1], d[1:])
    return min(recent) > GAIN * min(before)


def accuracy(look: Line) -> float:
    """The critic's, over real and fake items alike: 1/2 where it guesses."""
    return (look["critic/accuracy_real"] + look["critic/accuracy_fake"]) / 2


def divergence(looks: Looks) -> bool:
    """The samples have left the data, or the gradients have exploded, at two looks in a row."""
    d = distances(looks)
    away = min(d[-2:]) > max(FAR, LOST * min(d[:-2]))
    norms = [max(look.get("critic/grad_norm", 0.0), look.get("generator/grad_norm", 0.0)) for look in looks]
    return away or min(norms[-2:]) > max(HUGE, GROWN * norms[0])


def collapse(looks: Looks) -> bool:
    """The samples are alike, or of few groups of the data, and it gets no better; or both, and worse than the mean."""
    recent = looks[-WINDOW:]
    alike = all(look["monitor/diversity"] < ALIKE for look in recent)
    narrow = all(look["monitor/entropy"] < NARROW for look in recent)
    poor = (alike or narrow) and stuck(looks)
    lost = alike and narrow and min(distances(recent)) > 1  # where coming nearer is not yet progress
    return (poor or lost) and not posterior_collapse(looks)  # which is the better word


def posterior_collapse(looks: Looks) -> bool:
    """A variational autoencoder's codes say nothing of the images; logs of other families tell nothing of codes."""
    return all(look.get("vae/active_units", inf) < 1 for look in looks[-WINDOW:])


def oscillation(looks: Looks) -> bool:
    """The samples' mean keeps moving far, without coming nearer to the data."""
    recent = looks[-2 * WINDOW :]
    if len(recent) < 2 * WINDOW or not stuck(looks, 2 * WINDOW - 1):
        return False
    places = [[value for name, value in look.items() if name.startswith("monitor/offset")] for look in recent]
    return median(map(dist, places, places[1:])) > SWING


def critic_overpowers(looks: Looks) -> bool:
    """The critic is nearly always right while the samples stay far, or mostly right while they are hopeless."""
    return far_while(looks, lambda look: accuracy(look) > (0.75 if look["monitor/distance"] > 1 else SURE))


def critic_blind(looks: Looks) -> bool:
    """The critic guesses while the samples stay far, or is mostly wrong while they are hopeless."""
    return far_while(looks, lambda look: accuracy(look) < (0.75 if look["monitor/distance"] > 1 else UNSURE))


def far_while(looks: Looks, holds: Callable[[Line], bool]) -> bool:
    """Whether the samples stay far from the data over the last looks, at each of which a critic is as `holds` says."""
    recent = looks[-WINDOW:]
    judged = all("critic/accuracy_real" in look for look in recent)  # families without a critic have none to blame
    return judged and min(distances(recent)) > FAR and all(map(holds, recent)) and stuck(looks)


def copying(looks: Looks) -> bool:
    """More than a fifth of the samples are all but items of the data."""
    return all(look.get("monitor/copies", 0.0) > COPIED for look in looks[-WINDOW:])


def decline(looks: Looks) -> bool:
    """The samples are far from the data, were clearly nearer, and have not come back."""
    d = distances(looks)
    return min(d[-WINDOW:]) > max(FAR, WORSE * min(d[:-WINDOW], default=inf))


def stall(looks: Looks) -> bool:
    """The samples come no nearer for long while they are hopeless, whatever the critic makes of them."""
    recent = looks[-2 * WINDOW :]
    judged = all("critic/accuracy_real" in look for look in recent)  # a blurry decoder may have come as far as it can
    long = len(recent) == 2 * WINDOW and stuck(looks, 2 * WINDOW - 1)
    return judged and long and min(distances(recent)) > HOPELESS


RULES: dict[str, Callable[[Looks], bool]] = {
    "divergence": divergence,
    "collapse": collapse,
    "posterior-collapse": posterior_collapse,
    "oscillation": oscillation,
    "critic-overpowers": critic_overpowers,
    "critic-blind": critic_blind,
    "copying": copying,
    "decline": decline,
    "stall": stall,
}
VAGUE = {"decline", "stall"}  # said where no other rule says why

# kind -> (what it means, what to try)
WORDS: dict[str, tuple[str, str]] = {
    "divergence": (
        "Training diverges: gradients explode, or samples that were near the data have left them.",
        "Try a lower rate (--set lr=1e-4), a penalty (--set penalty=r1:1) or --precision fp32.",
    ),
    "collapse": (
        "The generator has collapsed: its samples are alike, or leave out most kinds of items that the data hold.",
        "Try --set pack=2 or --set minibatch_stddev=true, a penalty (--set penalty=r1:1) or another --seed.",
    ),
    "posterior-collapse": (
        "The posterior has collapsed: no unit of the latent depends on the image, and the decoder draws their average.",
        "Try a lower --set beta=..., --set beta_warmup=1000, --set free_bits=0.1 or a lower --set lr=...",
    ),
    "oscillation": (
        "Training runs in circles: the generator moves from one kind of sample to another and comes no nearer.",
        "Try a moving average (--set ema=0.999), --set beta1=0, a penalty (--set penalty=r1:1) or a lower --set lr=...",
    ),
    "critic-overpowers": (
        "The critic wins: it tells nearly every sample from the data, and the generator learns nothing from it.",
        "Try --set objective=ns or wgan-gp, a penalty (--set penalty=r1:1), --set augment=diffaugment for images, or a "
        "lower --set critic_lr=...",
    ),
    "critic-blind": (
        "The critic cannot tell samples from the data although they are far apart, so that its gradient says nothing.",
        "Try a higher --set critic_lr=..., more --set critic_steps=..., a wider critic, a weaker penalty or a larger "
        "--set clip=...",
    ),
    "copying": (
        "The generator copies its training set: more than a fifth of its samples are all but one of the items.",
        "Try more data, --set augment=diffaugment, a smaller network (--set width=32) or fewer --steps.",
    ),
    "decline": (
        "Training has gone backwards: the samples are far from the data, were clearly nearer, and have not come back.",
        "Take checkpoints/best, or try --on-collapse rollback, a rate that falls (--set decay=-1), a lower one "
        "(--set lr=1e-4) or a moving average (--set ema=0.999).",
    ),
    "stall": (
        "Training has stalled far from the data: the samples are little better than the average of all, and stay so.",
        "Try another rate (--set lr=..., --set critic_lr=...), a penalty (--set penalty=r1:1), --set beta1=0 or wider "
        "networks (--set width=...).",
    ),
}
