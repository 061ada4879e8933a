"""The one training loop, for every family, and the only place that steps an optimiser."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Module
from torch.nn.utils import get_total_norm

from .types import Batch, Images, Phase, Stats, System


def train(
    system: System, images: Images, *, steps: int, batch: int = 64, start: int = 0, seed: int = 0, accumulate: int = 1
) -> Iterator[tuple[int, Stats]]:
    """Plays every step in `range(start, steps)` and yields `(step, stats)` after each.

    `batch` is the size of one forward pass; a step takes `batch · accumulate` items. Where the caller has initialised
    torch.distributed, every process takes as many, and gradients are averaged over all.
    All randomness of a step comes from (seed, rank, step): the caller may draw numbers between steps, and training from
    `start` with the weights and optimisers of that moment continues exactly.
    """
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    for step in range(start, steps):
        reseed(seed, rank, step)
        first = (step * world + rank) * accumulate
        batches = [images.batch(first + i, batch) for i in range(accumulate)]
        stats: Stats = {}
        for phase in system.phases:
            if phase.schedule.active(step):
                stats |= play(phase, batches, step, system.precision)
        yield step, stats


def play(phase: Phase, batches: list[Batch], step: int, precision: torch.dtype) -> Stats:
    """One optimiser step of one phase; its gradients are averaged over `batches` and over the processes."""
    for group in phase.optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * phase.lr_factor(step)
    phase.optimizer.zero_grad(set_to_none=True)
    found: list[Stats] = []
    for batch in batches:
        with torch.autocast(batch.x.device.type, dtype=precision, enabled=precision != torch.float32):
            loss, stats = phase.loss(batch, step)
        (loss / len(batches)).backward(inputs=phase.params)
        found.append({f"{phase.name}/loss": loss.detach(), **stats})
    gradients = [p.grad for p in phase.params if p.grad is not None]
    average_over_processes(gradients)
    norm = get_total_norm(gradients)
    phase.optimizer.step()
    if phase.after_step:
        phase.after_step()
    return {**mean_stats(found), f"{phase.name}/grad_norm": norm}


def mean_stats(all_stats: list[Stats]) -> Stats:
    """The mean of each statistic over those that have it."""
    names = dict.fromkeys(name for stats in all_stats for name in stats)
    if len(all_stats) == 1:
        return all_stats[0]
    return {name: torch.stack([s[name].float() for s in all_stats if name in s]).mean() for name in names}


def reseed(seed: int, rank: int, step: int) -> None:
    """Seeds the existing generators; `torch.manual_seed` spends a millisecond on missing ones."""
    number = int(np.random.SeedSequence((seed, rank, step)).generate_state(1, np.uint64)[0]) >> 1
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_available():
        torch.cuda.manual_seed(number)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(number)


def average_over_processes(gradients: list[Tensor]) -> None:
    """All-reduces explicitly: DDP's hooks miss gradients of an earlier backward in the same step."""
    if dist.is_initialized():
        for gradient in gradients:
            dist.all_reduce(gradient)
            gradient /= dist.get_world_size()


class EMA(Module):
    """The exponential moving average of a model's weights; buffers, such as batch norm's statistics, are copied.

    The decay rises as (1 + n) / (10 + n) to `decay`, so that the average forgets the initialisation early.
    """

    updates: Tensor

    def __init__(self, source: Module, average: Module, decay: float) -> None:
        """`average` is a copy of `source`, which nothing else trains."""
        super().__init__()
        self.model = average.requires_grad_(False).eval()
        self._source = [source]  # in a list, so that it is not registered here
        self.decay = decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        decay = ((1 + self.updates) / (10 + self.updates)).clamp(max=self.decay)  # a tensor: no device has to wait
        (source,) = self._source
        for mine, theirs in zip(self.model.parameters(), source.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)
        for mine, theirs in zip(self.model.buffers(), source.buffers(), strict=True):
            mine.copy_(theirs)
