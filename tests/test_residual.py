from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from ganvas.errors import RequestError
from ganvas.nets.residual import Residual, ResidualCritic, ResidualGenerator

SMALL = {"width": 8, "max_width": 32, "group": 8}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 16, 28, 32, 64, 128, 256])
def test_shapes_at_every_size(size: int, channels: int) -> None:
    shape = (channels, size, size)
    generator, critic = ResidualGenerator(shape, latent=16, **SMALL), ResidualCritic(shape, **SMALL)
    x = generator(generator.prior(2))
    assert x.shape == (2, *shape)
    assert x.abs().max() <= 1
    assert critic(x).shape == (2,)


@pytest.mark.parametrize("blocks", [1, 2])
def test_signals_keep_unit_order_at_the_start(blocks: int) -> None:
    generator = ResidualGenerator((3, 32, 32), blocks=blocks, out="linear")
    x = generator(generator.prior(16))
    assert 0.1 < x.std() < 3
    logits = ResidualCritic((3, 32, 32), blocks=blocks)(torch.randn(16, 3, 32, 32))
    assert 0.01 < logits.std() < 3


@pytest.mark.parametrize("depth", [1, 16])
def test_residual_branch_starts_at_zero_and_is_scaled_by_depth(depth: int) -> None:
    block = Residual(32, expansion=2, group=16, depth=depth)
    x = torch.randn(4, 32, 8, 8)
    assert torch.equal(block(x), x)
    widen = block.branch[0](x)
    assert widen.std().item() == pytest.approx((2 / 1.04) ** 0.5 * depth**-0.25, rel=0.1)
    assert block.branch[2].weight.shape == (64, 16, 3, 3)  # groups of 16 channels


def test_width_doubles_towards_the_smallest_resolution_up_to_the_limit() -> None:
    generator = ResidualGenerator((1, 32, 32), width=16, max_width=64)
    assert generator.basis.shape == (64, 4, 4)
    widths = [m.branch[0].in_channels for m in generator.layers if isinstance(m, Residual)]
    assert widths == [64, 64, 32, 16]
    critic = ResidualCritic((1, 28, 28), width=16, max_width=64, blocks=2)
    widths = [m.branch[0].in_channels for m in critic.layers if isinstance(m, Residual)]
    assert widths == [16, 16, 32, 32, 64, 64]


def test_sampling_is_smooth_up_and_linear_down() -> None:
    """While the branches are zero, both networks are nothing but their resampling and 1×1 convolutions."""
    generator = ResidualGenerator((1, 16, 16), out="linear", **SMALL)
    x = generator(generator.prior(8))
    inner = x[..., 2:-2, 2:-2]
    wiggle = inner.diff(n=2, dim=-1).square().mean() / inner.diff(dim=-1).square().mean()
    assert wiggle < 0.8  # repeated pixels give 2.2
    critic = ResidualCritic((1, 16, 16), **SMALL)
    a, b = torch.randn(2, 8, 1, 16, 16)
    torch.testing.assert_close(critic(a + b), critic(a) + critic(b))


def steps(shape: tuple[int, int, int], count: int) -> tuple[ResidualGenerator, ResidualCritic, list[float]]:
    """`count` steps of RpGAN with R1 on a bright square; and how far from it the fakes of each step are."""
    generator, critic = ResidualGenerator(shape, latent=8, **SMALL), ResidualCritic(shape, **SMALL)
    of_generator = torch.optim.Adam(generator.parameters(), 5e-3, (0.0, 0.9))
    of_critic = torch.optim.Adam(critic.parameters(), 5e-3, (0.0, 0.9))
    real = -torch.ones(16, *shape)
    real[:, :, shape[1] // 4 : -shape[1] // 4, shape[2] // 4 : -shape[2] // 4] = 1
    distances: list[float] = []
    for _ in range(count):
        fake = generator(generator.prior(16))
        distances.append((fake.detach() - real).square().mean().item())
        x = real.clone().requires_grad_()
        logits = critic(x)
        (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        loss = softplus(critic(fake.detach()) - logits).mean() + gradient.square().sum((1, 2, 3)).mean() / 2
        of_critic.zero_grad()
        loss.backward()
        of_critic.step()
        of_generator.zero_grad()
        softplus(critic(real) - critic(fake)).mean().backward()
        of_generator.step()
    return generator, critic, distances


def test_gradients_reach_every_parameter() -> None:
    """After a few steps, for at the start the zeros that end the branches keep gradients from what is before them."""
    generator, critic, _ = steps((3, 16, 16), 3)
    critic(generator(generator.prior(4))).sum().backward()
    for name, parameter in [*generator.named_parameters(), *critic.named_parameters()]:
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_sixty_steps_learn_a_picture() -> None:
    _, _, distances = steps((1, 8, 8), 60)
    assert sum(distances[-10:]) / 10 < 0.5 * distances[0]


def test_double_backward_agrees_with_finite_differences() -> None:
    """The derivative of R1 in the direction of its own gradient in the weights, in float64."""
    critic = ResidualCritic((1, 8, 8), width=8, max_width=8, group=8, minibatch_stddev=True).double()
    for parameter in critic.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    x = torch.randn(4, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    parameters = list(critic.parameters())

    def r1() -> Tensor:
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return gradient.square().sum() / 2

    slopes = torch.autograd.grad(r1(), parameters, allow_unused=True)
    direction = [torch.zeros_like(p) if g is None else g / g.norm() for p, g in zip(parameters, slopes, strict=True)]
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter, d in zip(parameters, direction, strict=True):
                parameter += sign * 1e-6 * d
        values.append(r1().item())
        with torch.no_grad():
            for parameter, d in zip(parameters, direction, strict=True):
                parameter -= sign * 1e-6 * d
    expected = sum((g * d).sum().item() for g, d in zip(slopes, direction, strict=True) if g is not None)
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(expected, rel=1e-4)


def test_several_outputs() -> None:
    assert ResidualCritic((1, 8, 8), outputs=5, **SMALL)(torch.randn(2, 1, 8, 8)).shape == (2, 5)


def test_packing_judges_groups_of_samples() -> None:
    critic = ResidualCritic((3, 16, 16), pack=2, **SMALL)
    x = torch.randn(8, 3, 16, 16)
    logits = critic(x)
    assert logits.shape == (4,)
    x[5] = torch.randn(3, 16, 16)  # a member of the third pack
    changed = (critic(x) - logits).abs() > 1e-6
    assert changed.tolist() == [False, False, True, False]


def test_minibatch_stddev_lets_samples_see_their_batch() -> None:
    x = torch.randn(8, 1, 16, 16)
    other = torch.cat([x[:1], x[:1].expand(7, 1, 16, 16)])  # the first sample in a collapsed batch
    for stddev in (False, True):
        critic = ResidualCritic((1, 16, 16), minibatch_stddev=stddev, **SMALL)
        assert torch.isclose(critic(x)[0], critic(other)[0], atol=1e-6).item() is not stddev


def test_autocast_gives_finite_logits_and_gradients() -> None:
    generator, critic = ResidualGenerator((1, 8, 8), latent=4, **SMALL), ResidualCritic((1, 8, 8), **SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        logits = critic(generator(generator.prior(2)))
    logits.float().sum().backward()
    assert logits.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in generator.parameters())


def test_options_rebuild_the_generator() -> None:
    generator = ResidualGenerator((1, 28, 28), latent=8, blocks=2, expansion=4, out="linear", **SMALL)
    again = ResidualGenerator(**generator.options)
    again.load_state_dict(generator.state_dict())
    z = generator.prior(2)
    assert torch.equal(again(z), generator(z))


@pytest.mark.parametrize("network", [ResidualGenerator, ResidualCritic])
def test_impossible_shapes(network: type[ResidualGenerator] | type[ResidualCritic]) -> None:
    with pytest.raises(RequestError, match="30"):
        network((1, 30, 30))


def test_groups_divide_any_width() -> None:
    assert Residual(12, 2, 16, 2).branch[2].groups == 3  # of 8 channels
