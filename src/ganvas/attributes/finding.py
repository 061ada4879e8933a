"""Directions that change an attribute: sample, judge, fit, condition, and measure on other samples.

InterFaceGAN (Shen et al. 2020): the normal of the boundary between latents whose pictures show a value and those whose
do not. Each direction is measured by the judge's answers before and after a step along it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import RequestError
from ..frozen import TrainedGenerator
from ..latent import condition, from_seeds, logistic
from ..latent.directions import Boundary
from ..progress import Progress, Steps
from .judges import Judge, JudgedSamples, probabilities

RARE = 0.01  # of the samples: rarer values are not learnt
ENOUGH = 0.85  # of the samples changed by a step: a stronger one would only leak more
RELIABLE = 0.65  # balanced accuracy of a boundary, below which it is chance and nothing is conditioned on it
STRENGTHS = tuple(0.25 * i for i in range(1, 33))
TUNED = 200  # samples on which the strength is chosen, of those that were learnt from
SURE, FEW = 0.8, 30  # the judge's probability of every attribute of a sample; how many such samples are enough
WEIGHTS = (2.0, 8.0)  # of the other attributes, for a learnt step
START = 3.0  # the strength of the step that learning begins from
LEARNING_STEPS, BATCH, RATE = 120, 48, 0.05  # of a learnt step
GAINED = 0.3  # nats: the loss of a picture stops falling where the judge is this sure of the value


class Direction(NamedTuple):
    """A direction to a value of an attribute."""

    attribute: str
    value: int
    vector: Tensor  # (...), of length 1
    offset: float = 0.0  # of the boundary to which the vector is normal
    accuracy: float = 1.0  # of the boundary on the samples that it was fitted to, balanced
    method: str = "boundary"  # or "conditioned", on the other attributes' boundaries, or "steered"


class Effect(NamedTuple):
    """What a step does to samples that do not show the value."""

    changed: float  # the share that shows the value after the step
    leaked: dict[str, float]  # other attribute -> the share whose value of it changes
    gained: float  # the value's mean probability, gained a unit of strength
    samples: int

    @property
    def leakage(self) -> float:
        """The worst of the leaks; 0 where there is no other attribute."""
        return max(self.leaked.values(), default=0.0)


class Measured(NamedTuple):
    """A direction with the strength that was chosen for it, and its effect on held-out samples."""

    direction: Direction
    strength: float
    effect: Effect
    accuracy: float  # of the boundary, on held-out samples


def draw_samples(
    generator: TrainedGenerator, judge: Judge, seeds: Sequence[int], label: int | str | None = None
) -> JudgedSamples:
    """The samples of seeds, judged."""
    z, labels = from_seeds(generator.decoder, seeds), generator.labels(seeds, label)
    return JudgedSamples(z, labels, probabilities(judge, generator.decode(z, labels), generator.device))


def find(
    generator: TrainedGenerator, judge: Judge, samples: JudgedSamples, held_out: JudgedSamples, *, steer: bool = True
) -> Steps[list[Measured]]:
    """The direction to each value of each attribute, learnt from `samples` and measured on `held_out`.

    There are three candidates: the boundary's normal, the normal conditioned on the other attributes', and, with
    `steer`, a step that is learnt through the pictures, starting at the normal. Among candidates and strengths that
    change enough `samples`, the one with the least leakage wins, or else the one that changes most beyond its leakage.
    Values that nearly no sample or nearly every sample shows are left out. Raises RequestError where none remains.
    """
    normals = fit(samples)
    if not normals:
        raise RequestError("no attribute differs between samples", "judge by other words")
    found: list[Measured] = []
    for one in normals:
        tuned, tried = without(samples, one, TUNED), []
        for candidate in candidates(generator, judge, one, normals, samples, steer):
            for strength in STRENGTHS:
                effect = measure(generator, judge, tuned, candidate, strength)
                enough = effect.changed >= ENOUGH
                tried.append((enough, min(effect.changed, ENOUGH) - effect.leakage, candidate, strength))
                if enough:
                    break
        *_, best, strength = max(tried, key=lambda row: row[:2])
        effect = measure(generator, judge, without(held_out, one), best, strength)
        shows = held_out.scores[one.attribute].argmax(1) == one.value
        right = (Boundary(one.vector, one.offset)(held_out.z) > 0) == shows
        found.append(Measured(best, strength, effect, right.double().mean().item()))
        yield Progress("finding directions", len(found), len(normals))
    return found


def fit(samples: JudgedSamples) -> list[Direction]:
    """The normal of each value's boundary."""
    found = []
    for name, p in samples.scores.items():
        for value in range(p.shape[1]):
            shows = p.argmax(1) == value
            if RARE <= shows.double().mean() <= 1 - RARE:
                boundary = logistic(samples.z, p[:, value])
                right = ((boundary(samples.z) > 0) == shows).double()
                accuracy = (right[shows].mean() + right[~shows].mean()) / 2
                found.append(Direction(name, value, *boundary, float(accuracy)))
    return found


def candidates(
    generator: TrainedGenerator,
    judge: Judge,
    one: Direction,
    normals: Sequence[Direction],
    samples: JudgedSamples,
    steer: bool,
) -> Iterator[Direction]:
    """The direction, the same conditioned on the other attributes, and learnt steps, the most careful one last."""
    yield one
    others = [other.vector for other in normals if other.attribute != one.attribute and other.accuracy >= RELIABLE]
    if 0 < len(others) < one.vector.numel():
        yield one._replace(vector=condition(one.vector, torch.stack(others)), method="conditioned")
    if steer:
        lacking, step = without(samples, one), START * one.vector
        for weight in WEIGHTS if len(samples.scores) > 1 else WEIGHTS[:1]:
            step = learn_step(generator, judge, lacking, one.attribute, one.value, weight, step)
            yield one._replace(vector=step / step.norm().clamp(min=1e-12), method="steered")


def learn_step(
    generator: TrainedGenerator,
    judge: Judge,
    samples: JudgedSamples,
    attribute: str,
    value: int,
    weight: float,
    start: Tensor,
) -> Tensor:
    """The step w (...) that makes pictures show a value and keeps all other attributes as they were.

    argmin E[-log p_v(G(z + w)) + weight · Σ_b KL(p_b(G(z)) ‖ p_b(G(z + w)))], b the other attributes: a linear walk
    learnt as by Jahanian et al. 2020 ("On the steerability of generative adversarial networks"), from a judge in place
    of edited pictures. The samples do not show the value; `start` is the first w. Its length is learnt too.
    """
    device, random = generator.device, torch.Generator().manual_seed(0)
    w = start.to(device).clone().requires_grad_()
    optimizer = torch.optim.Adam([w], lr=RATE * start.norm().item() / 3)
    for _ in range(LEARNING_STEPS):
        batch = samples.at(torch.randint(len(samples.z), (BATCH,), generator=random))
        labels = None if batch.labels is None else batch.labels.to(device)
        after = judge.log_scores(generator.decoder(batch.z.to(device) + w, labels).float())
        loss = -after[attribute][:, value].clamp(max=-GAINED).mean()
        for name, before in batch.scores.items():
            if name != attribute:
                loss = loss + weight * F.kl_div(after[name], before.to(device), reduction="batchmean")
        (w.grad,) = torch.autograd.grad(loss, [w])
        optimizer.step()
    return w.detach().cpu()


def without(samples: JudgedSamples, one: Direction, most: int | None = None) -> JudgedSamples:
    """The samples, the first `most`, that do not show the value of a direction.

    Only those with every attribute sure, if there are enough of them: an unclear attribute can neither stay nor change.
    """
    lacks = samples.scores[one.attribute].argmax(1) != one.value
    sure = torch.stack([p.max(1).values for p in samples.scores.values()]).min(0).values >= SURE
    rows = (lacks & sure if int((lacks & sure).sum()) >= FEW else lacks).nonzero().flatten()
    return samples.at(rows[:most])


def measure(
    generator: TrainedGenerator, judge: Judge, samples: JudgedSamples, one: Direction, strength: float
) -> Effect:
    """The effect of a step of this strength on samples that do not show the value."""
    pictures = generator.decode(samples.z + strength * one.vector, samples.labels)
    after = probabilities(judge, pictures, generator.device)
    p, q = samples.scores[one.attribute][:, one.value], after[one.attribute][:, one.value]
    leaked = {
        name: (after[name].argmax(1) != before.argmax(1)).double().mean().item()
        for name, before in samples.scores.items()
        if name != one.attribute
    }
    changed = (after[one.attribute].argmax(1) == one.value).double().mean().item()
    return Effect(changed, leaked, (q - p).mean().item() / strength, len(p))
