"""The penalties of objectives, against closed forms, Jacobians and finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from ganvas.errors import RequestError
from ganvas.objectives import (
    ADVERSARIAL,
    PENALTIES,
    fd_r1,
    fd_r2,
    gradient_penalty,
    parse_penalty,
    r1,
    r2,
    squared_gradient,
    unit_gradient,
)
from ganvas.types import Penalty


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


class Linear(nn.Module):
    """D(x) = w·x, whose gradient is w everywhere."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(dims))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.w


class Quadratic(nn.Module):
    """D(x) = ½ xᵀAx + b·x with a symmetric A, whose gradient is Ax + b."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        a = torch.randn(dims, dims)
        self.A, self.b = nn.Parameter(a + a.T), nn.Parameter(torch.randn(dims))

    def gradient(self, x: Tensor) -> Tensor:
        return x @ self.A + self.b

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.A * x).sum(1) / 2 + x @ self.b


def perceptron(dims: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(dims, 16), nn.Tanh(), nn.Linear(16, 16), nn.Softplus(), nn.Linear(16, 1), nn.Flatten(0)
    )


class Witness(nn.Module):
    """Keeps what it was asked about."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        return self.critic(x)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES.keys())
@pytest.mark.parametrize("shape", [(6, 12), (6, 3, 2, 2)])
def test_penalties_are_per_sample_and_leave_their_items_alone(penalty: Penalty, shape: tuple[int, ...]) -> None:
    critic = Linear(12)
    real, fake = torch.randn(2, *shape)
    value = penalty(critic, real, fake)
    assert value.shape == (6,) and (value >= 0).all()
    value.sum().backward()
    assert critic.w.grad is not None and critic.w.grad.abs().sum() > 0
    assert not real.requires_grad and not fake.requires_grad


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES.keys())
def test_penalties_of_a_bfloat16_critic_are_float32(penalty: Penalty) -> None:
    critic = Linear(4)
    value = penalty(lambda x: critic(x).bfloat16(), *torch.randn(2, 3, 4))
    assert value.dtype == torch.float32 and value.isfinite().all()


@pytest.mark.parametrize("name", ["gp", "dragan"])
def test_unit_gradient_penalties_of_a_linear_critic(name: str) -> None:
    critic = Linear(12)
    norm = critic.w.detach().norm()
    value = PENALTIES[name](critic, *torch.randn(2, 6, 12))
    torch.testing.assert_close(value, ((norm - 1) ** 2).expand(6))
    (slope,) = torch.autograd.grad(value.mean(), critic.w)
    torch.testing.assert_close(slope, 2 * (norm - 1) / norm * critic.w.detach())


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_zero_centred_penalties_of_a_linear_critic(name: str) -> None:
    critic = Linear(12)
    value = PENALTIES[name](critic, *torch.randn(2, 6, 12))
    torch.testing.assert_close(value, (critic.w.detach().square().sum() / 2).expand(6))
    (slope,) = torch.autograd.grad(value.mean(), critic.w)
    torch.testing.assert_close(slope, critic.w.detach())


def test_r1_and_r2_of_a_quadratic_critic() -> None:
    critic = Quadratic(5)
    real, fake = torch.randn(2, 8, 5)
    for penalty, x in ((r1, real), (r2, fake)):
        value = penalty(critic, real, fake)
        gradient = critic.gradient(x).detach()
        torch.testing.assert_close(value.detach(), gradient.square().sum(1) / 2)
        of_b, of_a = torch.autograd.grad(value.sum(), (critic.b, critic.A))
        torch.testing.assert_close(of_b, gradient.sum(0))
        # D sees A through its symmetric part alone: (g xᵀ + x gᵀ) / 2.
        outer = gradient.T @ x
        torch.testing.assert_close(of_a, (outer + outer.T) / 2)


def test_squared_gradient_is_that_of_the_jacobian() -> None:
    critic = perceptron(5)
    x = torch.randn(7, 5)
    full = jacobian(critic, x)  # (N, N, D): samples do not see each other
    assert isinstance(full, Tensor)
    gradient = full[range(7), range(7)]
    torch.testing.assert_close(squared_gradient(critic, x), gradient.square().sum(1))
    torch.testing.assert_close(unit_gradient(critic, x), (gradient.norm(dim=1) - 1).square())


def test_double_backward_agrees_with_finite_differences() -> None:
    critic = perceptron(5)
    x = torch.randn(64, 5)
    weight = critic.get_parameter("0.weight")
    (slope,) = torch.autograd.grad(squared_gradient(critic, x).sum(), weight)
    step = 1e-2 * slope / slope.norm()
    values = []
    for sign in (1, -1):
        weight.data += sign * step
        values.append(squared_gradient(critic, x).double().sum().item())
        weight.data -= sign * step
    assert (values[0] - values[1]) / 2 == pytest.approx((slope * step).sum().item(), rel=1e-2)


def test_unit_gradient_where_the_gradient_is_zero() -> None:
    critic = Linear(4)
    critic.w.data.zero_()
    value = unit_gradient(critic, torch.randn(3, 4))
    torch.testing.assert_close(value.detach(), torch.ones(3))
    value.sum().backward()
    assert critic.w.grad is not None and critic.w.grad.isfinite().all()


def test_gradient_penalty_looks_between_real_and_fake() -> None:
    critic = Witness(Linear(12))
    real, fake = torch.randn(2, 2000, 3, 2, 2)
    gradient_penalty(critic, real, fake)
    (x,) = critic.seen
    chord = (real - fake).flatten(1)
    alpha = ((x - fake).flatten(1) * chord).sum(1) / chord.square().sum(1)
    torch.testing.assert_close(x, fake + alpha.view(-1, 1, 1, 1) * (real - fake), atol=1e-5, rtol=1e-4)  # on the chord
    assert -1e-6 < alpha.min() < 0.01 and 0.99 < alpha.max() < 1 + 1e-6
    assert alpha.mean().item() == pytest.approx(1 / 2, abs=0.03)
    assert alpha.var().item() == pytest.approx(1 / 12, abs=0.005)


def test_dragan_looks_around_real() -> None:
    critic = Witness(Linear(50))
    real = 3 * torch.randn(400, 50) + 1
    PENALTIES["dragan"](critic, real, torch.full_like(real, math.nan))
    noise = critic.seen[0] - real
    assert noise.mean().abs() < 0.05
    assert noise.std().item() == pytest.approx(0.5 * real.std().item(), rel=0.03)


def test_each_penalty_looks_at_its_own_side() -> None:
    critic = Linear(4)
    x, absent = torch.randn(3, 4), torch.full((3, 4), math.nan)
    seen = Witness(critic)
    for penalty in (r1, fd_r1):
        assert penalty(seen, x, absent).isfinite().all()
    for penalty in (r2, fd_r2):
        assert penalty(seen, absent, x).isfinite().all()
    assert all(torch.allclose(s, x, atol=0.5) for s in seen.seen)


@pytest.mark.parametrize(("fd", "side"), [(fd_r1, 0), (fd_r2, 1)])
def test_finite_differences_on_a_linear_critic(fd: Callable[..., Tensor], side: int) -> None:
    """Each draw is ½(w·ε)², so its mean is ½‖w‖² at any σ, and so is the mean of its slope."""
    critic = Linear(6)
    items = [torch.zeros(40_000, 6), torch.zeros(40_000, 6)]
    items[side] = torch.randn(40_000, 6)
    for sigma in (0.05, 0.5):
        witness = Witness(critic)
        value = fd(witness, *items, sigma=sigma)
        clean, noisy = witness.seen
        noise = (noisy - clean) / sigma
        assert torch.equal(clean, items[side])
        assert noise.std().item() == pytest.approx(1, rel=0.01)
        torch.testing.assert_close(value.detach(), (noise @ critic.w.detach()).square() / 2, rtol=1e-2, atol=1e-3)
        w = critic.w.detach()
        assert value.mean().item() == pytest.approx(w.square().sum().item() / 2, rel=0.03)
        (slope,) = torch.autograd.grad(value.mean(), critic.w)
        assert (slope - w).norm() < 0.05 * w.norm()


def test_finite_differences_on_a_quadratic_critic() -> None:
    """D(x) = ½‖x‖²: the mean is ½(‖x‖² + ¼σ² d(d + 2)), so the bias is known and falls as σ²."""
    d = 4
    x = torch.randn(1, d).expand(200_000, d)
    exact = x[0].square().sum().item()
    for sigma in (0.05, 1.0):
        value = fd_r1(lambda x: x.square().sum(1) / 2, x, x, sigma=sigma).mean().item()
        assert value == pytest.approx((exact + sigma**2 * d * (d + 2) / 4) / 2, rel=0.03)


def test_finite_differences_approach_r1_on_a_smooth_network() -> None:
    critic = perceptron(5)
    x = torch.randn(20, 5)
    exact = r1(critic, x, x).detach()
    draws = x.repeat_interleave(20_000, 0)
    with torch.no_grad():
        estimate = fd_r1(critic, draws, draws, sigma=0.01).view(20, -1).mean(1)
    torch.testing.assert_close(estimate, exact, rtol=0.06, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("", {}),
        ("none", {}),
        ("r1", {"r1": 1.0}),
        ("gp:10", {"gp": 10.0}),
        ("r1:1+r2:0.5", {"r1": 1.0, "r2": 0.5}),
        ("fd-r1:1e-1 + fd-r2", {"fd-r1": 0.1, "fd-r2": 1.0}),
    ],
)
def test_penalties_are_read(text: str, weights: dict[str, float]) -> None:
    assert parse_penalty(text) == weights


def test_every_row_of_the_table_has_a_readable_penalty() -> None:
    assert {name: parse_penalty(row.penalty) for name, row in ADVERSARIAL.items() if row.penalty} == {
        "wgan-gp": {"gp": 10.0},
        "dragan": {"dragan": 10.0},
        "dragan-mm": {"dragan": 10.0},
        "r3gan": {"r1": 1.0, "r2": 1.0},
    }


@pytest.mark.parametrize(("text", "message"), [("r3:1", "unknown penalty 'r3'"), ("r1:x", "'x' is not a number")])
def test_penalties_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        parse_penalty(text)
