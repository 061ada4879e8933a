"""The samplers, against diffusers where its formulas are the same, and against an equation with a known solution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from diffusers.schedulers import (
    EDMDPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerAncestralDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
)
from torch import Tensor

from ganvas import samplers
from ganvas.errors import RequestError
from ganvas.samplers import SAMPLERS, SCHEDULES, Denoise

SHAPE = (2, 1, 4, 4)
ODE = ("euler", "heun", "dpm++")


def last(name: str, denoise: Denoise, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    return list(SAMPLERS[name](denoise, x, sigmas, torch.randn_like))[-1]


def noise(seed: int = 0) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def images(x: Tensor, sigma: float) -> Tensor:
    """D for data that are three images, each as likely as the others: bent, and known exactly."""
    known = (
        torch.linspace(-1, 1, 48, dtype=x.dtype).reshape(3, 1, 4, 4).sin()
        * torch.tensor([1, -1, 0.5])[:, None, None, None]
    )
    distance = (x[:, None] - known).square().sum((2, 3, 4))
    return torch.einsum("nk,kchw->nchw", (-distance / (2 * sigma**2)).softmax(1), known.to(x.dtype))


# -- diffusers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [5, 20])
@pytest.mark.parametrize(
    ("name", "scheduler"), [("euler", EDMEulerScheduler), ("dpm++", EDMDPMSolverMultistepScheduler)]
)
def test_agrees_with_diffusers_edm(name: str, scheduler: type, steps: int) -> None:
    """Its schedulers take F and scale it themselves, so that F is made of D here."""
    theirs = scheduler(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5, rho=7.0)
    theirs.set_timesteps(steps)
    sigmas = samplers.karras(steps)
    torch.testing.assert_close(theirs.sigmas, torch.tensor(sigmas), rtol=1e-5, atol=1e-6)

    x = noise() * sigmas[0]
    for sigma, timestep in zip(sigmas, theirs.timesteps, strict=False):
        scaled = theirs.scale_model_input(x, timestep)
        skip = 0.25 / (sigma**2 + 0.25)
        out = sigma * 0.5 / math.sqrt(sigma**2 + 0.25)
        torch.testing.assert_close(scaled, x / math.sqrt(sigma**2 + 0.25))
        x = theirs.step((images(x, sigma) - skip * x) / out, timestep, x).prev_sample
    torch.testing.assert_close(last(name, images, noise() * sigmas[0], sigmas), x, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of diffusers' own arithmetic
def test_heun_agrees_with_diffusers() -> None:
    theirs = HeunDiscreteScheduler(use_karras_sigmas=True, beta_schedule="scaled_linear")
    theirs.set_timesteps(12)
    levels = theirs.sigmas.tolist()
    sigmas = [levels[0], *levels[1::2]]  # theirs stand twice but for the first and the last
    x = noise() * sigmas[0]
    for timestep in theirs.timesteps:
        sigma = levels[theirs.index_for_timestep(timestep) if theirs.step_index is None else theirs.step_index]
        epsilon = (x - images(x, sigma)) / sigma
        x = theirs.step(epsilon, timestep, x).prev_sample
    torch.testing.assert_close(last("heun", images, noise() * sigmas[0], sigmas), x, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
def test_ancestral_agrees_with_diffusers() -> None:
    theirs = EulerAncestralDiscreteScheduler()
    theirs.set_timesteps(10)
    sigmas = theirs.sigmas.tolist()
    ours, other = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    x = noise() * sigmas[0]
    for sigma, timestep in zip(sigmas, theirs.timesteps, strict=False):
        epsilon = (x - images(x, sigma)) / sigma
        theirs.is_scale_input_called = True
        x = theirs.step(epsilon, timestep, x, generator=other).prev_sample
    found = list(
        samplers.ancestral(images, noise() * sigmas[0], sigmas, lambda x: torch.randn(x.shape, generator=ours))
    )
    assert len(found) == 10
    torch.testing.assert_close(found[-1], x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [4, 25])
def test_euler_agrees_with_diffusers_flow_matching(steps: int) -> None:
    """In t, with velocities, there; in σ, with denoised images, here."""
    sigmas = samplers.straight(steps)
    ts = [sigma / (1 + sigma) for sigma in sigmas]
    assert all(a - b == pytest.approx(ts[0] / steps) for a, b in pairwise(ts))
    theirs = FlowMatchEulerDiscreteScheduler()
    theirs.set_timesteps(sigmas=ts[:-1])
    x = noise() * ts[0]
    for t, timestep in zip(ts, theirs.timesteps, strict=False):
        velocity = (x - images(x / (1 - t), t / (1 - t))) / t
        x = theirs.step(velocity, timestep, x).prev_sample
    torch.testing.assert_close(last("euler", images, noise() * sigmas[0], sigmas), x, rtol=1e-4, atol=1e-4)


# -- an equation that can be solved ------------------------------------------------------------------------------------

MEAN, SPREAD = 0.3, 0.6


def gaussian(x: Tensor, sigma: float) -> Tensor:
    """D for pixels that are N(MEAN, SPREAD²)."""
    return (SPREAD**2 * x + sigma**2 * MEAN) / (SPREAD**2 + sigma**2)


def solution(x: Tensor, sigma: float, to: float) -> Tensor:
    """What dx/dσ = (x - D) / σ leads to: the distance from the mean shrinks as the whole spread does."""
    return MEAN + (x - MEAN) * math.sqrt((SPREAD**2 + to**2) / (SPREAD**2 + sigma**2))


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2), ("dpm++", 2)])
def test_order_of_convergence(name: str, order: int) -> None:
    x = noise().double() * 5
    errors = []
    for n in (40, 80, 160):
        sigmas = [5 * (0.1 / 5) ** (i / n) for i in range(n + 1)]
        errors.append((last(name, gaussian, x, sigmas) - solution(x, 5, 0.1)).abs().max().item())
    assert [math.log2(a / b) for a, b in pairwise(errors)] == pytest.approx([order] * 2, abs=0.15)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", ODE)
def test_the_whole_way_down_is_solved(name: str, schedule: str) -> None:
    x = noise().double() * 80
    found = last(name, gaussian, x, SCHEDULES[schedule](200, 0.002, 80.0))
    torch.testing.assert_close(found, solution(x, 80, 0), atol=0.03, rtol=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_image_is_found_in_one_step(name: str) -> None:
    """Where D is constant every sampler is exact, at any number of steps."""
    image = noise(7)
    for steps in (1, 2, 9):
        found = list(SAMPLERS[name](lambda x, sigma: image, noise() * 80, samplers.karras(steps), torch.randn_like))
        assert len(found) == steps
        torch.testing.assert_close(found[-1], image, atol=1e-5, rtol=0)


def test_ancestral_keeps_the_noise_at_its_level() -> None:
    """With one image D, x at σ is that image + σ · noise after any step."""
    torch.manual_seed(0)
    sigmas = samplers.karras(6, 0.1, 10)
    x = torch.randn(100_000) * sigmas[0] + 0.5
    steps = samplers.ancestral(lambda x, sigma: torch.full_like(x, 0.5), x, sigmas)
    for after, sigma in zip(steps, sigmas[1:], strict=True):
        assert after.mean().item() == pytest.approx(0.5, abs=0.02 * sigma + 1e-6)
        assert after.std().item() == pytest.approx(sigma, rel=0.01, abs=1e-6)


def test_looks_at_the_denoiser() -> None:
    """What a sampler costs: heun two looks a step but one at the last, the others one."""
    looks: dict[str, int] = {}
    for name in SAMPLERS:

        def denoise(x: Tensor, sigma: float, name: str = name) -> Tensor:
            looks[name] = looks.get(name, 0) + 1
            assert sigma > 0
            return gaussian(x, sigma)

        last(name, denoise, noise(), samplers.karras(8))
    assert looks == {"euler": 8, "heun": 15, "dpm++": 8, "ancestral": 8}


# -- schedules and guidance --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_fall_from_the_largest_to_nothing(name: str) -> None:
    for n in (1, 2, 18):
        sigmas = SCHEDULES[name](n, 0.002, 80.0)
        assert len(sigmas) == n + 1
        assert sigmas[0] == pytest.approx(80) and sigmas[-1] == 0
        assert all(a > b for a, b in pairwise(sigmas))


def test_guidance_goes_on_beyond_the_label() -> None:
    def plain(x: Tensor, sigma: float) -> Tensor:
        return x + 1

    def labelled(x: Tensor, sigma: float) -> Tensor:
        return x + 3

    x = torch.zeros(2)
    assert samplers.guided(labelled, plain, 1) is labelled
    for scale, value in ((0, 1), (0.5, 2), (2.5, 6)):
        torch.testing.assert_close(samplers.guided(labelled, plain, scale)(x, 1.0), torch.full((2,), float(value)))


def test_unknown_sampler() -> None:
    with pytest.raises(RequestError, match="unknown sampler 'hoin'; did you mean heun"):
        samplers.sampler("hoin")
