"""PacGAN's Table 1 (Lin et al. 2018, arXiv 1712.04086) by its own protocol: `python -m benchmarks.pacgan --jobs 4`.

GAN and PacGAN2 to 4 on 2D-ring and 2D-grid, ten trials each, as in the authors' code: the generator takes N(0, I₂)
through four hidden layers of 400, each with batch norm and ReLU; the critic judges packs of m points through three
maxout layers of 200, of five pieces each; weights begin as N(0, 0.02); non-saturating loss, Adam with rate 1e-4 and β₁
0.8, 100 packs a step, 400 epochs of 1,000 steps. Two things differ: here the players take turns within a step, where
theirs move together, and points are always new, where theirs come from 100,000 packs drawn before.

All trials of a packing train at once, their layers side by side as batches of matrices. The losses are summed, and
Adam treats every weight by itself, so each trial goes as it would alone; this saves the time to launch kernels.
Interrupted packings resume from their last checkpoint, and `--steps` may be raised later.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from benchmarks.pacgan_table import MANY, picture, table
from ganvas import data, files, media, objectives
from ganvas.comparison.work import end_with_parent
from ganvas.data import Modes
from ganvas.loop import train
from ganvas.metrics import mode_report
from ganvas.run import checkpoint
from ganvas.types import Batch, Phase, Stats, System

PACKS = 100  # a step
PROTOCOL = 2500  # samples, as in the paper
PART = 10_000  # samples drawn at a time

# -- T networks side by side -------------------------------------------------------------------------------------------


class Linears(nn.Module):
    """T linear layers: (T, N, a) -> (T, N, b). Weights begin as N(0, 0.02), biases at 0."""

    def __init__(self, trials: int, a: int, b: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(trials, a, b))
        self.bias = nn.Parameter(torch.zeros(trials, 1, b))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class Norms(nn.Module):
    """T batch norms: (T, N, b) -> (T, N, b)."""

    def __init__(self, trials: int, b: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(trials * b)

    def forward(self, x: Tensor) -> Tensor:
        t, n, b = x.shape
        return self.norm(x.transpose(0, 1).reshape(n, t * b)).reshape(n, t, b).transpose(0, 1)


class Largest(torch.autograd.Function):
    """The largest of `pieces`: (T, N, pieces·b) -> (T, N, b), in a quarter of the time of `amax` and its gradient.

    Where pieces tie, which a trained network never does, each gets the whole gradient instead of its share.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, pieces: int) -> Tensor:
        x = x.unflatten(2, (pieces, -1))
        y = x.amax(2)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        x, y = ctx.saved_tensors
        mine = torch.eq(x, y[:, :, None], out=torch.empty_like(x))  # as numbers, to avoid converting booleans
        return mine.mul_(grad[:, :, None]).flatten(2), None


class Maxouts(nn.Module):
    """T maxout layers (Goodfellow et al. 2013): the largest of five linear pieces, (T, N, a) -> (T, N, b)."""

    def __init__(self, trials: int, a: int, b: int, pieces: int = 5) -> None:
        super().__init__()
        self.linear, self.pieces = Linears(trials, a, b * pieces), pieces

    def forward(self, x: Tensor) -> Tensor:
        return Largest.apply(self.linear(x), self.pieces)  # type: ignore[no-any-return]


def generators(trials: int, hidden: int = 400) -> nn.Module:
    """T generators: (T, N, 2) -> (T, N, 2)."""
    layers: list[nn.Module] = []
    for a in (2, hidden, hidden, hidden):
        layers += [Linears(trials, a, hidden), Norms(trials, hidden), nn.ReLU()]
    return nn.Sequential(*layers, Linears(trials, hidden, 2))


def critics(trials: int, pack: int, hidden: int = 200) -> nn.Module:
    """T critics: packs (T, N, 2·pack) -> (T, N, 1)."""
    layers = [Maxouts(trials, a, hidden) for a in (2 * pack, hidden, hidden)]
    return nn.Sequential(*layers, Linears(trials, hidden, 1))


# -- their losses ------------------------------------------------------------------------------------------------------


class Mixtures:
    """The points of T mixtures, one a trial; satisfies `types.Images`, with a batch of (T, N, 2)."""

    shape, classes = (2,), 0

    def __init__(self, modes: Sequence[Modes], device: str) -> None:
        self.counts = torch.tensor([[len(m.centres)] for m in modes], device=device)  # (T, 1)
        centres = [torch.nn.functional.pad(m.centres, (0, 0, 0, 25 - len(m.centres))) for m in modes]
        self.centres = torch.stack(centres).to(device)  # (T, 25, 2)
        self.sigma = torch.tensor([m.sigma for m in modes], device=device)[:, None, None]

    def __len__(self) -> int:
        return PACKS  # points are always new; nothing counts epochs

    def batch(self, step: int, size: int) -> Batch:
        """`size` points of each mixture, from torch's generator, which the loop seeds at every step."""
        trials, device = len(self.centres), self.centres.device
        mode = (torch.rand(trials, size, device=device) * self.counts).long()
        centres = self.centres.gather(1, mode[..., None].expand(-1, -1, 2))
        return Batch(centres + self.sigma * torch.randn(trials, size, 2, device=device), None, torch.arange(size))


class Games:
    """The losses of T GANs, summed; one batch of fakes serves both players."""

    def __init__(self, generator: nn.Module, critic: nn.Module, trials: int, pack: int) -> None:
        self.generator, self.critic, self.trials, self.pack = generator, critic, trials, pack
        self.fake = torch.empty(0)

    def judge(self, points: Tensor) -> Tensor:
        """(T, N, 2) -> logits (T, N / pack)."""
        return self.critic(points.reshape(self.trials, -1, 2 * self.pack)).squeeze(2)

    def critic_loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        self.fake = self.generator(torch.randn_like(batch.x))
        logits = self.judge(torch.cat([batch.x, self.fake.detach()], 1))
        real, fake = logits.chunk(2, 1)
        return objectives.minimax_critic(real, fake).mean(1).sum(), {}

    def generator_loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        fake = self.judge(self.fake)
        return objectives.non_saturating_generator(fake, fake).mean(1).sum(), {}


def build(trials: int, pack: int, device: str, seed: int) -> System:
    """The system of a packing, before its first step."""
    torch.manual_seed(seed)
    generator, critic = generators(trials).to(device), critics(trials, pack).to(device)
    games = Games(generator, critic, trials, pack)
    phases = []
    for name, module, loss in (("critic", critic, games.critic_loss), ("generator", generator, games.generator_loss)):
        params = list(module.parameters())
        phases.append(Phase(name, params, Adam(params, lr=1e-4, betas=(0.8, 0.999), fused=True), loss))
    return System({"generator": generator, "critic": critic}, phases)


# -- measuring ---------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def draw(generator: nn.Module, trials: int, count: int, device: str) -> Tensor:
    """Samples of every trial, (T, count, 2) on the CPU; the same latents at each call."""
    source = torch.Generator().manual_seed(0)
    generator.eval()
    parts = [
        generator(torch.randn(min(PART, count - start), 2, generator=source).to(device).expand(trials, -1, -1)).cpu()
        for start in range(0, count, PART)
    ]
    generator.train()
    return torch.cat(parts, 1)


def measure(points: Tensor, modes: Modes) -> dict[str, float]:
    """Modes, the share of high-quality samples in percent, reverse KL."""
    report = mode_report(points, modes.centres, modes.sigma)
    return {"modes": report.modes, "quality": 100 * report.high_quality, "reverse_kl": report.reverse_kl}


@dataclass(frozen=True)
class Task:
    """One packing."""

    pack: int
    sets: tuple[str, ...]
    trials: int  # of each data set
    steps: int
    every: int  # steps between two measurements, each with a checkpoint
    device: str
    threads: int
    out: Path


def play(task: Task) -> list[dict[str, Any]]:
    """Train a packing to its end from its last checkpoint; returns a row for each trial and measurement."""
    torch.set_num_threads(task.threads)
    owners = [name for name in task.sets for _ in range(task.trials)]
    modes = {name: known_modes(name) for name in task.sets}
    system = build(len(owners), task.pack, task.device, seed=task.pack)
    folder, results = task.out / f"pack-{task.pack}", task.out / f"pack-{task.pack}.json"
    saved = checkpoint.restore(folder, system)
    rows = [row for row in json.loads(results.read_text()) if row["step"] <= saved.step] if results.exists() else []
    mixtures = Mixtures([modes[name] for name in owners], task.device)
    begin = time.perf_counter() - saved.seconds
    for step, _ in train(system, mixtures, steps=task.steps, batch=PACKS * task.pack, start=saved.step, seed=task.pack):
        if (step + 1) % task.every == 0 or step + 1 == task.steps:
            last = step + 1 == task.steps
            points = draw(system.modules["generator"], len(owners), MANY if last else PROTOCOL, task.device)
            for i, (name, x) in enumerate(zip(owners, points, strict=True)):
                row = {"data": name, "pack": task.pack, "trial": i % task.trials, "step": step + 1}
                row |= measure(x[:PROTOCOL], modes[name])
                if last:
                    row |= {f"{key}_{MANY}": value for key, value in measure(x, modes[name]).items()}
                rows.append(row)
            files.write(results, json.dumps(rows).encode())
            checkpoint.write(folder, system, checkpoint.Saved(step + 1, time.perf_counter() - begin))
            print(f"pack {task.pack}: {step + 1:,} steps, {time.perf_counter() - begin:,.0f} s", flush=True)
    return rows


def known_modes(name: str) -> Modes:
    """The modes of a data set of points."""
    modes = data.open_data(name).modes
    assert modes is not None, f"{name} has no modes"
    return modes


# -- the command -------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, train the packings, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ring,grid", help="separated by commas (ring,grid)")
    parser.add_argument("--packs", default="1,2,3,4", help="separated by commas (1,2,3,4)")
    parser.add_argument("--trials", type=int, default=10, help="of each (10)")
    parser.add_argument("--steps", type=int, default=400_000, help="of each (400,000, as the authors' code has it)")
    parser.add_argument("--every", type=int, default=10_000, help="steps between two measurements (10,000)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--jobs", type=int, default=4, help="packings at a time, a process each (4)")
    parser.add_argument("--out", type=Path, default=Path("runs/pacgan"), help="directory of results (runs/pacgan)")
    o = parser.parse_args(arguments)
    packs = [int(pack) for pack in o.packs.split(",")]
    jobs = min(o.jobs, len(packs))
    threads = max(1, torch.get_num_threads() // jobs) if o.device == "cpu" else 1
    tasks = [Task(m, tuple(o.data.split(",")), o.trials, o.steps, o.every, o.device, threads, o.out) for m in packs]
    with ProcessPoolExecutor(jobs, get_context("spawn"), end_with_parent) as pool:
        rows = [row for part in pool.map(play, tasks) for row in part]
    text = table(rows)
    print(text)
    files.write(o.out / "pacgan.md", (text + "\n").encode())
    media.save_png(picture(rows), o.out / "pacgan.png")


if __name__ == "__main__":
    main()
