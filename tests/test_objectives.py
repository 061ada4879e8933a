from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from ganvas.errors import RequestError
from ganvas.objectives import (
    ADVERSARIAL,
    Equilibrium,
    accuracy,
    margins,
    objective,
)

Formula = Callable[[np.ndarray, np.ndarray], np.ndarray]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


# --- the loss table, written again in float64 from probabilities D = 1 / (1 + exp(-logit)) ---------------------------


def probability(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


def cross_entropy(r: np.ndarray, f: np.ndarray) -> np.ndarray:
    return -np.log(probability(r)) - np.log(1 - probability(f))


TABLE: dict[str, tuple[Formula, Formula]] = {
    "mm": (cross_entropy, lambda r, f: np.log(1 - probability(f))),
    "ns": (cross_entropy, lambda r, f: -np.log(probability(f))),
    "wgan": (lambda r, f: -r + f, lambda r, f: -f),
    "wgan-gp": (lambda r, f: -r + f, lambda r, f: -f),
    "lsgan": (lambda r, f: (r - 1) ** 2 + f**2, lambda r, f: (f - 1) ** 2),
    "dragan": (cross_entropy, lambda r, f: -np.log(probability(f))),
    "dragan-mm": (cross_entropy, lambda r, f: np.log(1 - probability(f))),
    "began": (lambda r, f: r, lambda r, f: f),  # at its first k, 0
    "hinge": (lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f), lambda r, f: -f),
    "rpgan": (lambda r, f: -np.log(probability(r - f)), lambda r, f: -np.log(probability(f - r))),
    "r3gan": (lambda r, f: -np.log(probability(r - f)), lambda r, f: -np.log(probability(f - r))),
}


def test_the_table_is_complete() -> None:
    assert TABLE.keys() == ADVERSARIAL.keys()


@pytest.mark.parametrize("name", TABLE)
def test_losses_are_their_formulas(name: str) -> None:
    real, fake = 4 * torch.randn(2, 500)
    for loss, formula in zip(objective(name).losses, TABLE[name], strict=True):
        value = loss(real, fake)
        assert value.shape == (500,)
        np.testing.assert_allclose(value.numpy(), formula(real.double().numpy(), fake.double().numpy()), 1e-4, 1e-5)


@pytest.mark.parametrize("name", TABLE)
def test_losses_and_gradients_are_finite_at_large_logits(name: str) -> None:
    real = torch.tensor([1e4, -1e4, 1e4, -1e4], requires_grad=True)
    fake = torch.tensor([1e4, 1e4, -1e4, -1e4], requires_grad=True)
    for loss in objective(name).losses:
        value = loss(real, fake)
        assert value.isfinite().all()
        gradients = torch.autograd.grad(value.sum(), (real, fake), allow_unused=True)
        assert all(g is None or g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("name", TABLE)
def test_losses_of_bfloat16_logits_are_float32(name: str) -> None:
    real, fake = (4 * torch.randn(2, 100)).bfloat16()
    for loss in objective(name).losses:
        value = loss(real, fake)
        assert value.dtype == torch.float32
        assert torch.equal(value, loss(real.float(), fake.float()))


def test_cross_entropies_are_torchs() -> None:
    real, fake = 10 * torch.randn(2, 500)
    ones, zeros = torch.ones(500), torch.zeros(500)
    game = objective("ns").losses
    both = bce(real, ones, reduction="none") + bce(fake, zeros, reduction="none")
    torch.testing.assert_close(game.critic(real, fake), both)
    torch.testing.assert_close(game.generator(real, fake), bce(fake, ones, reduction="none"))
    torch.testing.assert_close(objective("mm").losses.generator(real, fake), -bce(fake, zeros, reduction="none"))
    pairs = objective("rpgan").losses
    torch.testing.assert_close(pairs.critic(real, fake), bce(real - fake, ones, reduction="none"))
    torch.testing.assert_close(pairs.generator(real, fake), bce(fake - real, ones, reduction="none"))


@pytest.mark.parametrize("name", TABLE)
def test_each_side_moves_the_way_it_should(name: str) -> None:
    """The critic raises real logits and lowers fake ones, the generator raises fake ones; energies go the other way."""
    row = objective(name)
    real, fake = torch.tensor([0.1], requires_grad=True), torch.tensor([0.2], requires_grad=True)
    sign = -1 if row.energy else 1
    of_real, of_fake = torch.autograd.grad(row.losses.critic(real, fake).sum(), (real, fake))
    assert sign * of_real < 0
    assert sign * of_fake > 0 or name == "began"  # k is still 0
    assert sign * torch.autograd.grad(row.losses.generator(real, fake).sum(), fake)[0] < 0


@pytest.mark.parametrize("name", TABLE)
def test_only_paired_rows_need_real_logits_for_the_generator(name: str) -> None:
    row = objective(name)
    real, fake = torch.randn(2, 10)
    same = torch.equal(row.losses.generator(real, fake), row.losses.generator(real + 1, fake))
    assert same is not row.paired


@pytest.mark.parametrize("name", [name for name, row in ADVERSARIAL.items() if not row.energy])
def test_only_rows_without_a_boundary_ignore_a_constant_on_all_logits(name: str) -> None:
    row = objective(name)
    real, fake = torch.randn(2, 10)
    shifted = torch.allclose(row.losses.critic(real + 1, fake + 1), row.losses.critic(real, fake), atol=1e-5)
    assert shifted is (row.boundary is None)


def test_unknown_objective() -> None:
    with pytest.raises(RequestError, match="unknown objective 'wgangp'; did you mean wgan-gp"):
        objective("wgangp")


# --- BEGAN -----------------------------------------------------------------------------------------------------------


def test_began_subtracts_k_times_the_fake_energy() -> None:
    control = Equilibrium()
    control.k.fill_(0.3)
    real, fake = torch.rand(2, 10)
    game = control.losses()
    torch.testing.assert_close(game.critic(real, fake), real - 0.3 * fake)
    torch.testing.assert_close(game.generator(real, fake), fake)


def test_a_loss_can_be_differentiated_after_k_has_moved() -> None:
    control = Equilibrium(rate=0.1)
    control.k.fill_(0.3)
    real, fake = torch.ones(2), torch.full((2,), 0.5, requires_grad=True)
    loss = control.losses().critic(real, fake).sum()
    control.update(real, fake.detach() / 5)
    assert control.k > 0.3
    (slope,) = torch.autograd.grad(loss, fake)
    torch.testing.assert_close(slope, torch.full((2,), -0.3))  # the k of its own step


def test_k_moves_with_the_balance() -> None:
    control = Equilibrium(gamma=0.5, rate=0.1)
    real, fake = torch.tensor([0.8, 0.4]), torch.tensor([0.1, 0.3])
    stats = control.update(real, fake)  # γ L(x) - L(x̂) = 0.3 - 0.2
    assert control.k.item() == pytest.approx(0.01)
    assert stats["began/k"].item() == pytest.approx(0.01)
    assert stats["began/M"].item() == pytest.approx(0.6 + 0.1)
    stats = control.update(fake, real)  # 0.1 - 0.6
    assert control.k == 0  # 0.01 - 0.05, were it not clamped
    assert stats["began/M"].item() == pytest.approx(0.2 + 0.5)


def test_k_stays_between_zero_and_one() -> None:
    control = Equilibrium(rate=1.0)
    ks = [control.update(5 * torch.rand(4), 5 * torch.rand(4))["began/k"].item() for _ in range(200)]
    assert min(ks) == 0 and max(ks) == 1


def test_k_is_part_of_a_checkpoint_and_its_statistics_are_snapshots() -> None:
    control, restored = Equilibrium(rate=0.1), Equilibrium(rate=0.1)
    before = control.update(torch.ones(2), torch.zeros(2))["began/k"]
    restored.load_state_dict(control.state_dict())
    control.update(torch.ones(2), torch.zeros(2))
    assert before.item() == pytest.approx(0.05) and restored.k.item() == pytest.approx(0.05)


def test_k_has_no_graph() -> None:
    energies = torch.rand(4, requires_grad=True)
    control = Equilibrium()
    control.update(energies, energies / 4)
    assert control.k > 0 and not control.k.requires_grad


# --- accuracy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "real", "fake", "expected"),
    [
        ("ns", [1.0, 2.0, -1.0, 3.0], [-1.0, -2.0, 1.0, 2.0], (0.75, 0.5)),
        ("lsgan", [0.4, 0.6, 0.7, 0.8], [0.4, 0.6, 0.1, 0.0], (0.75, 0.75)),  # undecided at 1/2
        ("rpgan", [10.0, 13.0, 14.0, 15.0], [9.0, 11.0, 13.0, 11.0], (0.75, 0.75)),  # midway is 12
        ("began", [0.1, 0.2, 0.3, 0.9], [0.6, 0.7, 0.6, 0.7], (0.75, 1.0)),  # low energies are real
    ],
)
def test_accuracy(name: str, real: list[float], fake: list[float], expected: tuple[float, float]) -> None:
    stats = accuracy(*margins(torch.tensor(real), torch.tensor(fake), objective(name)))
    assert (stats["critic/accuracy_real"].item(), stats["critic/accuracy_fake"].item()) == expected
