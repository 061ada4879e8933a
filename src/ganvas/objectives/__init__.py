"""The loss table: one pure function per formula, symbols as in the papers, means left to the caller.

A critic returns one number per sample: a logit, D(x) before any sigmoid, or for BEGAN an energy, the reconstruction
error. `real` and `fake` are those numbers, (N,), converted to float32, so that no loss is computed in bfloat16.
A penalty takes `(critic, real items, fake items)`, both without a graph, and returns one number per output of the
critic: (N,), or (N/m,) with packs of m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..errors import RequestError, entry
from ..types import Adversarial, Critic, Penalty, Stats

# -- adversarial losses: log D(x) = -softplus(-logit), log(1 - D(x)) = -softplus(logit) --------------------------------


def minimax_critic(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(x̂)), Goodfellow et al. 2014."""
    return softplus(-real.float()) + softplus(fake.float())


def minimax_generator(real: Tensor, fake: Tensor) -> Tensor:
    """log(1 - D(x̂)): its gradient vanishes where the critic is sure; the non-saturating form's does not."""
    return -softplus(fake.float())


def non_saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x̂), Goodfellow et al. 2014, section 3."""
    return softplus(-fake.float())


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """-D(x) + D(x̂), Arjovsky et al. 2017."""
    return fake.float() - real.float()


def wasserstein_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-D(x̂); also the hinge loss's generator."""
    return -fake.float()


def least_squares_critic(real: Tensor, fake: Tensor) -> Tensor:
    """(D(x) - 1)² + D(x̂)², Mao et al. 2017."""
    return (real.float() - 1).square() + fake.float().square()


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """(D(x̂) - 1)²."""
    return (fake.float() - 1).square()


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(x̂)), Lim and Ye 2017, Miyato et al. 2018."""
    return (1 - real.float()).relu() + (1 + fake.float()).relu()


def relativistic(real: Tensor, fake: Tensor) -> Tensor:
    """-log σ(D(x) - D(x̂)) over pairs, the critic's, RpGAN, Jolicoeur-Martineau 2019 and Huang et al. 2024."""
    return softplus(fake.float() - real.float())


def began_critic(real: Tensor, fake: Tensor, k: Tensor | float) -> Tensor:
    """L(x) - kₜ L(x̂), with L the autoencoder's L1 error, Berthelot et al. 2017."""
    return real.float() - k * fake.float()


def began_generator(real: Tensor, fake: Tensor) -> Tensor:
    """L(x̂)."""
    return fake.float()


class Equilibrium(nn.Module):
    """BEGAN's proportional control: kₜ₊₁ = kₜ + λₖ(γ L(x) - L(x̂)), kept in [0, 1].

    γ, the diversity ratio, is the target of E L(x̂) / E L(x). M = L(x) + |γ L(x) - L(x̂)| measures convergence.
    """

    k: Tensor

    def __init__(self, gamma: float = 0.5, rate: float = 0.001) -> None:
        super().__init__()
        self.gamma, self.rate = gamma, rate
        self.register_buffer("k", torch.zeros(()))

    def losses(self) -> Adversarial:
        """The two losses at the current kₜ."""
        return Adversarial(partial(began_critic, k=self.k.clone()), began_generator)

    @torch.no_grad()
    def update(self, real: Tensor, fake: Tensor) -> Stats:
        """Moves kₜ by one batch of energies, (N,) each, and returns kₜ and M."""
        balance = self.gamma * real.float().mean() - fake.float().mean()
        self.k.add_(self.rate * balance).clamp_(0, 1)
        return {"began/k": self.k.clone(), "began/M": real.float().mean() + balance.abs()}


# -- penalties ---------------------------------------------------------------------------------------------------------


def squared_gradient(critic: Critic, x: Tensor) -> Tensor:
    """‖∇D(x)‖² for each output, (N,), differentiable in the critic's weights (a double backward)."""
    x = x.detach().requires_grad_()
    logits = critic(x).float()
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.float().reshape(len(logits), -1).square().sum(1)


def unit_gradient(critic: Critic, x: Tensor) -> Tensor:
    """(‖∇D(x)‖₂ - 1)², (N,). The root's derivative at 0 is infinite, hence the small constant."""
    return ((squared_gradient(critic, x) + 1e-12).sqrt() - 1).square()


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """(‖∇D(αx + (1 - α)x̂)‖₂ - 1)², one α ~ U(0, 1) a sample: WGAN-GP, Gulrajani et al. 2017."""
    alpha = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    return unit_gradient(critic, alpha * real + (1 - alpha) * fake.to(real.dtype))


def dragan(critic: Critic, real: Tensor, fake: Tensor, c: float = 0.5) -> Tensor:
    """(‖∇D(x + δ)‖₂ - 1)², δ ~ N(0, c σₓ), σₓ the batch's standard deviation: Kodali et al. 2017."""
    return unit_gradient(critic, real + c * real.std() * torch.randn_like(real))


def r1(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """½‖∇D(x)‖² on real samples, so that its weight is the papers' γ: Mescheder et al. 2018."""
    return squared_gradient(critic, real) / 2


def r2(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """½‖∇D(x̂)‖² on generated samples."""
    return squared_gradient(critic, fake) / 2


def finite_difference(critic: Critic, x: Tensor, sigma: float) -> Tensor:
    """(D(x) - D(x + σε))² / σ², ε ~ N(0, I): ‖∇D(x)‖² in expectation as σ → 0, without a double backward."""
    return ((critic(x).float() - critic(x + sigma * torch.randn_like(x)).float()) / sigma).square()


def fd_r1(critic: Critic, real: Tensor, fake: Tensor, sigma: float = 0.05) -> Tensor:
    """R1 by finite differences. σ is in the units of the items: 0.05 is six grey levels."""
    return finite_difference(critic, real, sigma) / 2


def fd_r2(critic: Critic, real: Tensor, fake: Tensor, sigma: float = 0.05) -> Tensor:
    """R2 by finite differences."""
    return finite_difference(critic, fake, sigma) / 2


# -- the table ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Objective:
    """A row: the two losses, and what their paper trains them with."""

    losses: Adversarial
    penalty: str = ""  # as parse_penalty reads it
    clip: float = 0.0  # weights are clipped to ±clip after each critic step; 0: not at all
    critic_steps: int = 1
    boundary: float | None = 0.0  # the logit of an undecided critic; None: only differences have a meaning
    paired: bool = False  # the generator's loss needs the real logits too
    energy: bool = False  # the critic is an autoencoder, low on real items


NON_SATURATING = Adversarial(minimax_critic, non_saturating_generator)
MINIMAX = Adversarial(minimax_critic, minimax_generator)
WASSERSTEIN = Adversarial(wasserstein_critic, wasserstein_generator)
RELATIVISTIC = Adversarial(relativistic, lambda real, fake: relativistic(fake, real))

ADVERSARIAL: dict[str, Objective] = {
    "mm": Objective(MINIMAX),
    "ns": Objective(NON_SATURATING),
    "wgan": Objective(WASSERSTEIN, clip=0.01, critic_steps=5, boundary=None),
    "wgan-gp": Objective(WASSERSTEIN, penalty="gp:10", critic_steps=5, boundary=None),
    "lsgan": Objective(Adversarial(least_squares_critic, least_squares_generator), boundary=0.5),
    "dragan": Objective(NON_SATURATING, penalty="dragan:10"),
    "dragan-mm": Objective(MINIMAX, penalty="dragan:10"),  # with the generator's loss of the course material's table
    "began": Objective(Adversarial(partial(began_critic, k=0.0), began_generator), boundary=None, energy=True),
    "hinge": Objective(Adversarial(hinge_critic, wasserstein_generator)),
    "rpgan": Objective(RELATIVISTIC, boundary=None, paired=True),
    "r3gan": Objective(RELATIVISTIC, penalty="r1:1+r2:1", boundary=None, paired=True),
}

PENALTIES: dict[str, Penalty] = {"gp": gradient_penalty, "dragan": dragan, "r1": r1, "r2": r2}
PENALTIES |= {"fd-r1": fd_r1, "fd-r2": fd_r2}


def objective(name: str) -> Objective:
    """The row of that name; a RequestError with similar names where there is none."""
    return entry("objective", name, ADVERSARIAL, field="options.objective")


def parse_penalty(text: str) -> dict[str, float]:
    """'r1:1+r2:0.5' -> {'r1': 1.0, 'r2': 0.5}; a missing weight is 1; '' and 'none' mean none."""
    weights: dict[str, float] = {}
    for part in text.split("+") if text not in ("", "none") else ():
        name, _, weight = part.strip().partition(":")
        entry("penalty", name, PENALTIES, field="options.penalty")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            problem = f"the weight {weight!r} is not a number"
            raise RequestError(problem, "write, for example, r1:1", field="options.penalty") from None
        if not 0 <= weights[name] < math.inf:
            raise RequestError(f"the weight {weight} is not possible", "give 0 or more", field="options.penalty")
    return weights


def margins(real: Tensor, fake: Tensor, row: Objective) -> tuple[Tensor, Tensor]:
    """How far each sample is on the real side of the decision boundary; negative: on the fake side.

    Where only differences of logits have a meaning, the boundary is midway between the two means.
    """
    if row.energy:
        real, fake = -real, -fake
    boundary = (real.mean() + fake.mean()) / 2 if row.boundary is None else row.boundary
    return real - boundary, fake - boundary


def accuracy(real: Tensor, fake: Tensor) -> Stats:
    """The critic's accuracy on real and on fake samples, from their margins; 1/2 each where it guesses."""
    return {"critic/accuracy_real": (real > 0).float().mean(), "critic/accuracy_fake": (fake < 0).float().mean()}
