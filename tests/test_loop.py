"""The loop: exact in (seed, step), the same in parts as in one piece, the same on two processes as on one."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ganvas.loop import EMA, reseed, train
from ganvas.types import Batch, Phase, Schedule, Stats, System

ALWAYS = Schedule()


class Line:
    """A stream of points on y = 2x, a function of the step."""

    shape = (2,)
    classes = 0

    def __len__(self) -> int:
        return 1000

    def batch(self, step: int, size: int) -> Batch:
        x = torch.randn(size, 1, generator=torch.Generator().manual_seed(step))
        return Batch(torch.cat([x, 2 * x], 1), None, torch.arange(size))


def regression(lr: float = 0.05, noise: float = 0.0, schedule: Schedule = ALWAYS) -> tuple[System, nn.Linear]:
    """Fits y = wx + b, with dropout-like noise where asked for."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1)

    def loss(batch: Batch, step: int) -> tuple[Tensor, Stats]:
        x, y = batch.x.split(1, dim=1)
        error = model(x) + noise * torch.randn_like(x) - y
        return error.square().mean(), {"error": error.detach().abs().mean()}

    params = list(model.parameters())
    return System({"model": model}, [Phase("fit", params, torch.optim.Adam(params, lr=lr), loss, schedule)]), model


def test_the_loop_learns_and_reports() -> None:
    system, model = regression()
    *_, (step, stats) = train(system, Line(), steps=300)
    assert step == 299
    assert set(stats) == {"fit/loss", "fit/grad_norm", "error"}
    assert model.weight.item() == pytest.approx(2, abs=0.01)


def test_a_run_in_two_parts_is_bit_identical_whatever_the_caller_draws() -> None:
    whole, expected = regression(noise=0.5)
    for _ in train(whole, Line(), steps=20, seed=3):
        pass
    parts, model = regression(noise=0.5)
    for _ in train(parts, Line(), steps=7, seed=3):
        torch.rand(5)
    for _ in train(parts, Line(), start=7, steps=20, seed=3):
        torch.rand(2)
    assert torch.equal(model.weight, expected.weight)
    other, differs = regression(noise=0.5)
    for _ in train(other, Line(), steps=20, seed=4):
        pass
    assert not torch.equal(differs.weight, expected.weight)


def test_accumulated_gradients_are_the_mean_of_their_batches() -> None:
    accumulated, model = regression()
    next(train(accumulated, Line(), steps=1, batch=4, accumulate=2))
    whole, expected = regression()
    x = torch.cat([Line().batch(i, 4).x for i in range(2)])
    loss, _ = whole.phases[0].loss(Batch(x, None, torch.arange(8)), 0)
    loss.backward()
    assert torch.allclose(model.weight.grad, expected.weight.grad)


def test_a_phase_acts_on_its_schedule_alone() -> None:
    system, model = regression(schedule=Schedule(1, 3, 4))
    before, moved = model.weight.clone(), []
    for step, stats in train(system, Line(), steps=8):
        moved.append(not torch.equal(model.weight, before))
        assert bool(stats) == (step % 4 in (1, 2))
        before = model.weight.clone()
    assert moved == [False, True, True, False] * 2


def test_the_learning_rate_follows_its_schedule() -> None:
    system, _ = regression(lr=0.1)
    system.phases[0].lr_factor = lambda step: 1 / (step + 1)
    seen = [system.phases[0].optimizer.param_groups[0]["lr"] for _ in train(system, Line(), steps=4)]
    assert seen == pytest.approx([0.1, 0.05, 0.1 / 3, 0.025])


def test_a_phase_touches_no_weights_but_its_own() -> None:
    critic, generator = nn.Linear(1, 1), nn.Linear(1, 1)
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)

    def loss(batch: Batch, step: int) -> tuple[Tensor, Stats]:
        return critic(generator(batch.x[:, :1])).mean(), {}

    system = System({}, [Phase("generator", list(generator.parameters()), optimizer, loss)])
    next(train(system, Line(), steps=1))
    assert critic.weight.grad is None
    assert generator.weight.grad is not None


def test_ema_follows_its_recurrence_and_copies_buffers() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = EMA(model, copy.deepcopy(model), decay=0.9)
    expected = model[0].weight.detach().clone()
    for n in range(1, 200):
        with torch.no_grad():
            model[0].weight.add_(torch.randn(2, 2))
        model(torch.randn(8, 2))
        average.update()
        expected.lerp_(model[0].weight.detach(), 1 - min(0.9, (1 + n) / (10 + n)))
    assert torch.allclose(average.model[0].weight, expected, atol=1e-5)
    assert torch.equal(average.model[1].running_mean, model[1].running_mean)
    assert average.updates == 199
    assert not any("_source" in key for key in average.state_dict())


def test_every_rank_and_step_draws_its_own_numbers() -> None:
    draws = set()
    for place in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]:
        reseed(*place)
        draws.add(torch.rand(()).item())
    assert len(draws) == 4


DISTRIBUTED = """
import torch, torch.distributed as dist
from test_loop import Line, regression
from ganvas.loop import train
dist.init_process_group("gloo")
system, model = regression()
for _ in train(system, Line(), steps=5, batch=4): pass
print(f"weight {model.weight.item()!r}\\n", end="", flush=True)
dist.destroy_process_group()
"""


def test_two_processes_train_as_one_that_accumulates(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n" + DISTRIBUTED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    weights = {float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("weight")}
    system, model = regression()
    for _ in train(system, Line(), steps=5, batch=4, accumulate=2):
        pass
    assert len(weights) == 1
    assert weights.pop() == pytest.approx(model.weight.item(), rel=1e-6)
