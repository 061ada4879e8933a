"""Directions that change an attribute: sample, score, fit, condition; and how well they do it, on other samples.

InterFaceGAN (Shen et al. 2020): the normal of the boundary between latents whose pictures show a value and those whose
do not. Each direction is measured by what the judge of the pictures says before and after a step along it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import RequestError
from ..frozen import Frozen
from ..latent import condition, from_seeds, logistic
from .judges import Judge, Scores

RARE = 0.01  # of the samples: a value that fewer show is not learnt
ENOUGH = 0.9  # of the samples that a step must change, where steps are chosen
STRENGTHS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
TUNED = 160  # samples, of those that were learnt from, on which a step is chosen


class Sampled(NamedTuple):
    """Samples and what the judge says of them."""

    z: Tensor  # (N, ...)
    labels: Tensor | None  # of a generator that knows labels
    scores: Scores

    def at(self, rows: Tensor) -> Sampled:
        """Those of the rows."""
        labels = None if self.labels is None else self.labels[rows]
        return Sampled(self.z[rows], labels, {name: p[rows] for name, p in self.scores.items()})


class Found(NamedTuple):
    """A direction that leads to a value of an attribute."""

    attribute: str
    value: int
    vector: Tensor  # (...), of length 1
    conditioned: bool  # whether the other attributes' directions are projected out of it


class Effect(NamedTuple):
    """What a step does to samples that do not show the value."""

    changed: float  # the share of them that show it after the step
    leaked: dict[str, float]  # other attribute -> the share of them whose value of it is another after the step
    gained: float  # the value's mean probability, gained a unit of strength
    samples: int

    @property
    def leakage(self) -> float:
        """The worst of the leaks; 0 where there is no other attribute."""
        return max(self.leaked.values(), default=0.0)


@dataclass(frozen=True)
class Steered:
    """A direction with the step that was chosen for it, and what that does to held-out samples."""

    found: Found
    strength: float
    effect: Effect
    accuracy: float  # of the boundary, on held-out samples: how often it tells rightly whether they show the value


def sampled(generator: Frozen, judge: Judge, seeds: Sequence[int], label: int | str | None = None) -> Sampled:
    """Draw the samples of seeds, and let them be judged."""
    z, labels = from_seeds(generator.decoder, seeds), generator.labels(seeds, label)
    return Sampled(z, labels, judge(generator.decode(z, labels)))


def find(
    generator: Frozen,
    judge: Judge,
    samples: Sampled,
    held_out: Sampled,
    watch: Callable[[Sequence[Found]], Iterable[Found]] = lambda found: found,
) -> list[Steered]:
    """The direction to each value of each attribute, learnt from `samples` and measured on `held_out`.

    Of the boundary's normal alone and the normal conditioned on the other attributes, the one is taken that leaks less
    where a step changes enough; both, and the strength of the step, are chosen on `samples`. Values that hardly any
    sample shows are left out. Raises RequestError where none is left.
    """
    fitted = fit(samples)
    if not fitted:
        raise RequestError("no value of any attribute is shown by some samples and not by others; judge by other words")
    normals = {(one.attribute, one.value): one for one in fitted if not one.conditioned}
    chosen = []
    for first in watch(list(normals.values())):
        both = [one for one in fitted if (one.attribute, one.value) == (first.attribute, first.value)]
        chosen.append(steer(generator, judge, both, samples, held_out))
    return chosen


def fit(samples: Sampled) -> list[Found]:
    """The normal of each value's boundary, and conditioned on the other attributes' where something is left of it."""
    found = [
        Found(name, value, logistic(samples.z, p[:, value]).normal, False)
        for name, p in samples.scores.items()
        for value in range(p.shape[1])
        if RARE <= (p.argmax(1) == value).double().mean() <= 1 - RARE
    ]
    conditioned = []
    for one in found:
        others = [other.vector for other in found if other.attribute != one.attribute]
        if others and len(others) < one.vector.numel():
            vector = condition(one.vector, torch.stack(others))
            conditioned.append(Found(one.attribute, one.value, vector, True))
    return [*found, *conditioned]


def steer(generator: Frozen, judge: Judge, candidates: Sequence[Found], samples: Sampled, held_out: Sampled) -> Steered:
    """The best of some directions to one value and the step to take, chosen on `samples`, measured on `held_out`."""
    first = candidates[0]
    tuned = not_showing(samples, first, TUNED)
    tried: list[tuple[float, float, Found, float]] = []
    for one in candidates:
        for strength in STRENGTHS:
            effect = measure(generator, judge, tuned, one, strength)
            tried.append((min(effect.changed, ENOUGH), -effect.leakage, one, strength))
            if effect.changed >= ENOUGH:
                break
    _, _, best, strength = max(tried, key=lambda row: row[:2])
    told = logistic(samples.z, samples.scores[first.attribute][:, first.value])
    shows = held_out.scores[first.attribute].argmax(1) == first.value
    right = ((told(held_out.z) > 0) == shows).double().mean()
    effect = measure(generator, judge, not_showing(held_out, first), best, strength)
    return Steered(best, strength, effect, float(right))


def not_showing(samples: Sampled, one: Found, most: int | None = None) -> Sampled:
    """The samples, the first `most`, that do not show the value to which a direction leads."""
    rows = (samples.scores[one.attribute].argmax(1) != one.value).nonzero().flatten()
    return samples.at(rows[:most])


def measure(generator: Frozen, judge: Judge, samples: Sampled, one: Found, strength: float) -> Effect:
    """What a step of this strength does, to samples that do not show the value."""
    after = judge(generator.decode(samples.z + strength * one.vector, samples.labels))
    p, q = samples.scores[one.attribute][:, one.value], after[one.attribute][:, one.value]
    leaked = {
        name: (after[name].argmax(1) != before.argmax(1)).double().mean().item()
        for name, before in samples.scores.items()
        if name != one.attribute
    }
    changed = (after[one.attribute].argmax(1) == one.value).double().mean().item()
    return Effect(changed, leaked, (q - p).mean().item() / strength, len(p))


def named(judge: Judge, found: Sequence[Found]) -> Iterator[str]:
    """What directions are called: color=red."""
    return (f"{one.attribute}={judge.values[one.attribute][one.value]}" for one in found)
