"""Directions that change an attribute: sample, score, fit, condition; and how well they do it, on other samples.

InterFaceGAN (Shen et al. 2020): the normal of the boundary between latents whose pictures show a value and those whose
do not. Each direction is measured by what the judge of the pictures says before and after a step along it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import RequestError
from ..frozen import TrainedGenerator
from ..latent import condition, from_seeds, logistic
from ..progress import Steps, counted
from .judges import Judge, Scores, judged
from .steering import Guide, steered

RARE = 0.01  # of the samples: a value that fewer show is not learnt
ENOUGH = 0.85  # of the samples that a step changes: more is not asked for, at the cost of leaks
TELLS = 0.65  # of both sides told rightly, below which a boundary is chance and nothing to condition on
STRENGTHS = tuple(0.25 * i for i in range(1, 33))
TUNED = 200  # samples, of those that were learnt from, on which a step is chosen
SURE, FEW = 0.8, 30  # the judge's probability of every attribute of a sample; how many of them are enough
WEIGHTS = (2.0, 8.0)  # of what a learnt step shall leave
START = 3.0  # the strength of the step that learning begins from


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
    """A direction that leads to a value of an attribute, and a way to find one."""

    attribute: str
    value: int
    vector: Tensor  # (...), of length 1
    told: float = 1.0  # how often the boundary is right about what was learnt from: the mean of both sides
    way: str = "boundary"  # or "conditioned", on the other attributes' boundaries, or "steered"


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
class Chosen:
    """A direction with the step that was chosen for it, and what that does to held-out samples."""

    found: Found
    strength: float
    effect: Effect
    accuracy: float  # of the boundary, on held-out samples: how often it tells rightly whether they show the value


def sampled(generator: TrainedGenerator, judge: Judge, seeds: Sequence[int], label: int | str | None = None) -> Sampled:
    """Draw the samples of seeds, and let them be judged."""
    z, labels = from_seeds(generator.decoder, seeds), generator.labels(seeds, label)
    return Sampled(z, labels, judged(judge, generator.decode(z, labels), generator.device))


def find(
    generator: TrainedGenerator, judge: Judge, samples: Sampled, held_out: Sampled, *, steer: bool = True
) -> Steps[list[Chosen]]:
    """The direction to each value of each attribute, learnt from `samples` and measured on `held_out`.

    Three ways lead there: the boundary's normal, that conditioned on the other attributes' normals, and, where `steer`
    is set, a step that is learnt through the pictures, from the normal on. Of the ways and strengths whose step changes
    enough the one is taken that leaks least, or else the one that changes most beyond what it leaks, as `samples` tell.
    Values that hardly any sample shows, or that hardly any does not, are left out. Raises RequestError where none is
    left.
    """
    normals = fit(samples)
    if not normals:
        raise RequestError("no attribute differs between samples", "judge by other words")
    chosen = (choose(generator, judge, one, normals, samples, held_out, steer) for one in normals)
    return (yield from counted(chosen, "finding directions", len(normals)))


def fit(samples: Sampled) -> list[Found]:
    """The normal of each value's boundary."""
    found = []
    for name, p in samples.scores.items():
        for value in range(p.shape[1]):
            shows = p.argmax(1) == value
            if RARE <= shows.double().mean() <= 1 - RARE:
                boundary = logistic(samples.z, p[:, value])
                right = ((boundary(samples.z) > 0) == shows).double()
                told = (right[shows].mean() + right[~shows].mean()) / 2
                found.append(Found(name, value, boundary.normal, float(told)))
    return found


def conditioned(one: Found, normals: Sequence[Found]) -> list[Found]:
    """The direction without what it shares with the other attributes', where something is left of it."""
    others = [other.vector for other in normals if other.attribute != one.attribute and other.told >= TELLS]
    if not 0 < len(others) < one.vector.numel():
        return []
    return [one._replace(vector=condition(one.vector, torch.stack(others)), way="conditioned")]


def learnt(generator: TrainedGenerator, judge: Judge, one: Found, samples: Sampled) -> Iterator[Found]:
    """Steps that are learnt through the pictures of samples that do not show the value, the more careful ones last."""
    z, labels, scores = without(samples, one)
    start = START * one.vector
    for weight in WEIGHTS if len(scores) > 1 else WEIGHTS[:1]:
        guide = Guide(one.attribute, one.value, weight)
        start = steered(generator, judge, z, labels, scores, guide, start)
        yield one._replace(vector=start / start.norm().clamp(min=1e-12), way="steered")


def choose(
    generator: TrainedGenerator,
    judge: Judge,
    one: Found,
    normals: Sequence[Found],
    samples: Sampled,
    held_out: Sampled,
    steer: bool,
) -> Chosen:
    """The best way to one value and the strength of its step, chosen on `samples`, measured on `held_out`."""
    ways = [one, *conditioned(one, normals), *(learnt(generator, judge, one, samples) if steer else ())]
    tuned = without(samples, one, TUNED)
    tried: list[tuple[bool, float, Found, float]] = []
    for way in ways:
        for strength in STRENGTHS:
            effect = measure(generator, judge, tuned, way, strength)
            enough = effect.changed >= ENOUGH
            tried.append((enough, min(effect.changed, ENOUGH) - effect.leakage, way, strength))
            if enough:
                break
    *_, chosen, step = max(tried, key=lambda row: row[:2])
    boundary = logistic(samples.z, samples.scores[one.attribute][:, one.value])
    shows = held_out.scores[one.attribute].argmax(1) == one.value
    right = ((boundary(held_out.z) > 0) == shows).double().mean()
    return Chosen(chosen, step, measure(generator, judge, without(held_out, one), chosen, step), float(right))


def without(samples: Sampled, one: Found, most: int | None = None) -> Sampled:
    """The samples, the first `most`, that do not show the value to which a direction leads.

    Of those the ones whose every attribute the judge is sure of: what shows nothing clear can neither keep nor lose it.
    All of them where there are few.
    """
    lacks = samples.scores[one.attribute].argmax(1) != one.value
    sure = torch.stack([p.max(1).values for p in samples.scores.values()]).min(0).values >= SURE
    rows = (lacks & sure if int((lacks & sure).sum()) >= FEW else lacks).nonzero().flatten()
    return samples.at(rows[:most])


def measure(generator: TrainedGenerator, judge: Judge, samples: Sampled, one: Found, strength: float) -> Effect:
    """What a step of this strength does, to samples that do not show the value."""
    after = judged(judge, generator.decode(samples.z + strength * one.vector, samples.labels), generator.device)
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
