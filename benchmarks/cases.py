"""The runs that calibrate the monitor: healthy ones, and ones broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ganvas.data import Dataset, open_data
from ganvas.nets import Generator
from ganvas.types import Batch, Stats, System

FEW = 20  # items that a generator can memorise


@dataclass(frozen=True)
class Case:
    """One way to train. `fault` says what is wrong with it; "" where it is healthy."""

    name: str
    recipe: str
    data: str
    options: Mapping[str, object]
    fault: str = ""
    sabotage: Callable[[System, Dataset], None] | None = None
    prepare: Callable[[Path], str] | None = None  # makes the data in a folder, and returns its path


# -- faults beyond options ---------------------------------------------------------------------------------------------


def deafen(system: System, dataset: Dataset) -> None:
    """The generator ignores its latent: the weights of its input are zero."""
    generator = next(phase for phase in system.phases if phase.name == "generator")
    first = next(p for p in generator.params if p.dim() > 1)

    def silence() -> None:
        first.data.zero_()

    generator.after_step = silence
    silence()


def narrow(system: System, dataset: Dataset) -> None:
    """Training sees only the tenth of the data that is nearest to the first item."""
    rows = torch.arange(min(len(dataset), 5000))
    items = dataset.at(rows).x.flatten(1)
    near = rows[(items - items[0]).norm(dim=1).argsort()[: len(rows) // 10]]
    for phase in system.phases:
        phase.loss = partial(blinkered, phase.loss, dataset, near)


def blinkered(
    loss: Callable[[Batch, int], tuple[torch.Tensor, Stats]],
    dataset: Dataset,
    rows: torch.Tensor,
    batch: Batch,
    step: int,
) -> tuple[torch.Tensor, Stats]:
    """A loss on items of `rows` alone."""
    return loss(dataset.at(rows[batch.index % len(rows)]), step)


def recite(system: System, dataset: Dataset) -> None:
    """The generator memorises the items: each sample is pulled to its nearest item, and each item to a sample."""
    generator = system.modules["generator"]
    assert isinstance(generator, Generator)

    def loss(batch: Batch, step: int) -> tuple[torch.Tensor, Stats]:
        fake = generator(generator.prior(len(batch.x)))
        distance = torch.cdist(fake.flatten(1), batch.x.flatten(1))
        return distance.min(0).values.mean() + distance.min(1).values.mean(), {}

    next(phase for phase in system.phases if phase.name == "generator").loss = loss


def few(name: str, out: Path) -> str:
    """An .npz of the first FEW images of a data set, in `out`."""
    path = out / f"{FEW}-{name}.npz"
    if not path.exists():
        items = open_data(name, size=16 if name == "shapes" else None).items[:FEW]
        temporary = path.with_name(f"{torch.seed()}.npz")
        np.savez(temporary, images=items.numpy().transpose(0, 2, 3, 1))
        temporary.replace(path)
    return str(path)


# -- the table ---------------------------------------------------------------------------------------------------------

POINTS = {"hidden": "64,64", "critic_hidden": "64,64", "steps": 4000, "sample_every": 0, "monitor_every": 200}
DIGITS = {"width": 48, "batch": 32, "steps": 2500, "sample_every": 0, "monitor_every": 125}
PICTURES = {"width": 16, "batch": 32, "steps": 2000, "sample_every": 0, "monitor_every": 100}
MLP = {"hidden": "128,128", "critic_hidden": "128,128", "steps": 4000, "sample_every": 0, "monitor_every": 200}


def points(data: str, objective: str, fault: str = "", /, name: str = "", **options: object) -> Case:
    """Small perceptrons with a gradient penalty; broken ones without what would fix them in time."""
    row: dict[str, object] = {"objective": objective, "penalty": "r1:0.2", "penalty_every": 1}
    if fault:
        row |= {"decay": 0, "ema": 0.0}
    return Case(title(data, objective, fault, name), "points", data, {**POINTS, **row, **options}, fault)


def images(data: str, objective: str, fault: str = "", /, name: str = "", **options: object) -> Case:
    """A smaller default recipe; broken ones are plain DCGANs, without what keeps it healthy."""
    row: dict[str, object] = {"objective": objective, **(DIGITS if data == "digits" else PICTURES)}
    if data == "shapes":
        row["size"] = 16
    if not fault:
        row |= {"decay": -1, "ema": 0.99}
    recipe = "dcgan" if fault else "gan"
    return Case(title(data, objective, fault, name), recipe, data, {**row, **options}, fault)


def perceptrons(data: str, objective: str, fault: str = "", /, **options: object) -> Case:
    """Perceptrons on images, with batch norm and a penalty; broken ones with neither."""
    row: dict[str, object] = {**MLP, "objective": objective, "lr": 3e-4}
    if not fault:
        row |= {"norm": True, "penalty": "r1:1", "dropout": 0.0, "decay": -1, "ema": 0.99, "lr": 1e-3, "beta1": 0.5}
    return Case(title(data, objective, fault, "mlp"), "mlp", data, {**row, **options}, fault)


def title(data: str, objective: str, fault: str, name: str) -> str:
    """The name of a case and its runs."""
    return "-".join(filter(None, (fault.replace(" ", "-") or "healthy", data, objective, name)))


HEALTHY = [
    points("ring", "r3gan", penalty="r1:0.2+r2:0.2"),
    points("ring", "ns"),
    points("ring", "lsgan"),
    points("ring", "hinge"),
    points("ring", "rpgan"),
    points("ring", "wgan-gp", penalty="gp:0.1", critic_steps=2),
    points("ring", "dragan", penalty="dragan:0.1"),
    points("grid", "r3gan", penalty="r1:0.2+r2:0.2"),
    points("grid", "ns"),
    points("grid", "lsgan"),
    points("grid", "rpgan"),
    points("sine", "r3gan", penalty="r1:0.2+r2:0.2"),
    points("sine", "ns"),
    points("sine", "hinge"),
    points("spiral", "r3gan", penalty="r1:0.2+r2:0.2"),
    points("spiral", "lsgan"),
    images("digits", "ns"),
    images("digits", "lsgan"),
    images("digits", "hinge"),
    images("digits", "rpgan"),
    images("digits", "wgan-gp", penalty="gp:10", penalty_every=1, critic_steps=2),
    images("digits", "ns", name="augmented", augment="diffaugment"),
    perceptrons("digits", "ns"),
    perceptrons("digits", "lsgan"),
    images("fashion-mnist", "ns"),
    images("fashion-mnist", "lsgan"),
    images("fashion-mnist", "hinge"),
    images("fashion-mnist", "rpgan"),
    perceptrons("fashion-mnist", "ns"),
    images("shapes", "ns"),
    images("shapes", "hinge"),
]

SICK = [
    points("ring", "ns", "still generator", lr=0.0),
    images("digits", "ns", "still generator", lr=0.0, critic_lr=5e-4),
    images("fashion-mnist", "lsgan", "still generator", lr=1e-7, critic_lr=5e-4),
    points("grid", "mm", "fast critic", penalty="none", lr=1e-4, critic_lr=1e-2, critic_steps=5),
    images("digits", "mm", "fast critic", lr=5e-5, critic_lr=5e-3, critic_steps=4, critic_norm="none"),
    images("fashion-mnist", "mm", "fast critic", lr=2e-5, critic_lr=2e-3, critic_steps=4, critic_norm="none"),
    points("ring", "ns", "rate too high", lr=5e-2, critic_lr=0.15, penalty="none"),
    points("grid", "lsgan", "rate too high", lr=5e-2, critic_lr=0.15, penalty="none"),
    images("digits", "ns", "rate too high", lr=0.1, beta1=0.9),
    perceptrons("digits", "ns", "rate too high", lr=1.5e-2),
    images("fashion-mnist", "hinge", "rate too high", lr=0.1, beta1=0.9),
    images("shapes", "ns", "rate too high", lr=0.1, beta1=0.9),
    points("ring", "ns", "deaf generator"),
    points("sine", "lsgan", "deaf generator"),
    images("digits", "ns", "deaf generator"),
    images("fashion-mnist", "ns", "deaf generator"),
    points("grid", "r3gan", "narrow data", penalty="r1:0.2+r2:0.2"),
    points("ring", "lsgan", "narrow data"),
    images("digits", "ns", "narrow data"),
    perceptrons("fashion-mnist", "ns", "narrow data", norm=True, penalty="r1:1", dropout=0.0),
    perceptrons("digits", "ns", "learnt by heart", lr=1e-3, batch=64),
    images("digits", "ns", "learnt by heart", batch=64),
    images("fashion-mnist", "ns", "learnt by heart"),
    images("shapes", "ns", "learnt by heart", batch=64),
    points("ring", "wgan", "tiny clip", clip=1e-5, penalty="none"),
    images("digits", "wgan", "tiny clip", clip=1e-5, critic_steps=2),
    images("fashion-mnist", "wgan", "tiny clip", clip=1e-5, critic_steps=2),
    points("ring", "wgan", "no clip", clip=0.0, penalty="none", lr=1e-3),
    images("digits", "wgan", "no clip", clip=0.0),
    images("fashion-mnist", "wgan", "no clip", clip=0.0, critic_steps=2),
    images("digits", "ns", "still critic", critic_lr=1e-9),
    points("ring", "ns", "still critic", critic_lr=1e-9, penalty="none"),
    points("ring", "ns", "generator steps", penalty="none", generator_steps=20, lr=2e-3, critic_lr=1e-3),
    points("grid", "lsgan", "generator steps", penalty="none", generator_steps=20, lr=2e-3, critic_lr=1e-3),
    images("digits", "ns", "generator steps", generator_steps=20),
    images("digits", "began", "low diversity", began_gamma=0.02),
    perceptrons("digits", "ns", "plain perceptrons"),
    perceptrons("digits", "lsgan", "plain perceptrons"),
]

SABOTAGE = {"deaf generator": deafen, "narrow data": narrow, "learnt by heart": recite}


def complete(case: Case) -> Case:
    """The case with the sabotage of its fault."""
    prepare = partial(few, case.data) if case.fault == "learnt by heart" else None
    return replace(case, sabotage=SABOTAGE.get(case.fault), prepare=prepare)


CASES = [*HEALTHY, *map(complete, SICK)]
