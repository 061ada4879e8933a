"""The types that everything shares. Imports nothing of ganvas.

Items are either images, `(N, C, H, W)` in [-1, 1], or points, `(N, D)` in the units of their data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.optim import Optimizer

if TYPE_CHECKING:
    from PIL.Image import Image

Stats = dict[str, Tensor]  # scalar, detached; a logging step reports their means


class Batch(NamedTuple):
    """One batch of a data set."""

    x: Tensor  # (N, C, H, W) float32 in [-1, 1], or (N, D) float32
    label: Tensor | None  # (N,) int64, where the data set has classes
    index: Tensor  # (N,) int64, the rows of the data set, for captions and attributes


class Images(Protocol):
    """A data set. `shape` is (C, H, W), or (D,) for points; `classes` is 0 where there are none."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def classes(self) -> int: ...
    def __len__(self) -> int: ...
    def batch(self, step: int, size: int) -> Batch:
        """The batch of a step, a function of (seed, step), so that resume is exact."""
        ...


class Decoder(Protocol):
    """Latents to items: a GAN's generator, a VAE's decoder, a deterministic sampler."""

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """`n` latents from the prior, on the CPU where a generator is given."""
        ...

    def __call__(self, z: Tensor, label: Tensor | None = None) -> Tensor: ...


Critic = Callable[[Tensor], Tensor]  # items -> one logit (or energy) a sample, (N,)
Penalty = Callable[[Critic, Tensor, Tensor], Tensor]  # (critic, real, fake) -> (N,)


class Adversarial(NamedTuple):
    """The losses of both networks: (real logits, fake logits) -> per-sample loss, both (N,)."""

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


class Schedule(NamedTuple):
    """When a phase acts: at the steps where `start <= step % period < stop`."""

    start: int = 0
    stop: int = 1
    period: int = 1

    def active(self, step: int) -> bool:
        """Whether the phase acts at a step."""
        return self.start <= step % self.period < self.stop

    def count_before(self, step: int) -> int:
        """How many times the phase acted before `step`, where it acts."""
        return step // self.period * (self.stop - self.start) + step % self.period - self.start


@dataclass
class Phase:
    """One optimiser's part of a step: `loss(batch, step) -> (scalar, stats)`."""

    name: str
    params: list[Parameter]
    optimizer: Optimizer
    loss: Callable[[Batch, int], tuple[Tensor, Stats]]
    schedule: Schedule = Schedule()
    lr_factor: Callable[[int], float] = lambda step: 1.0  # of the learning rate; pure, so resume is exact
    after_step: Callable[[], None] | None = None  # such as WGAN's clipping, or the update of a moving average


class Examination(NamedTuple):
    """What a system shows at the sampling steps."""

    picture: Image
    figures: dict[str, float]  # measured on held-out items, for the log


@dataclass
class System:
    """Everything that trains. All state is in `modules`, which checkpoints hold.

    A run draws samples of `decoder` and writes it as `generator.safetensors`. A family with more to show, or without a
    decoder, sets `examine`, which draws in place of the samples, and `products`, the files next to a checkpoint.
    Neither may change what trains.
    """

    modules: dict[str, Module]
    phases: list[Phase]
    decoder: Decoder | None = None
    precision: torch.dtype = field(default=torch.float32)  # of the autocast region that train() opens
    examine: Callable[[], Examination] | None = None
    products: dict[str, Callable[[Path], None]] = field(default_factory=dict)  # file name -> its writer
