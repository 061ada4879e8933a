"""Recipes: their networks are those of the sources, every objective plays, and pairs that cannot are refused."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
import torch
from torch import nn

from ganvas import objectives, recipes
from ganvas.errors import RequestError
from ganvas.loop import train
from ganvas.nets import MLPCritic
from ganvas.nets.dcgan import InputProjection
from ganvas.plan import Plan
from ganvas.recipes import Training, presets
from ganvas.recipes.adversarial import schedules
from ganvas.recipes.gan import resolve
from ganvas.recipes.gan_options import GAN
from ganvas.types import Batch


class Noise:
    """A data set of any shape."""

    classes = 0

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return 256

    def batch(self, step: int, size: int) -> Batch:
        x = torch.randn(size, *self.shape, generator=torch.Generator().manual_seed(step)).clamp(-1, 1)
        return Batch(x, None, torch.arange(size))


SMALL = {"batch": 8, "width": 4, "hidden": (8, 8), "critic_hidden": (8, 8), "latent": 4, "max_width": 16}
GREY = Noise(1, 8, 8)


def play(settings: dict[str, object], images: Noise = GREY, steps: int = 3) -> dict[str, float]:
    """The statistics of a few steps of a tiny GAN."""
    options = recipes.override(GAN(), SMALL | settings)
    torch.manual_seed(0)
    system = recipes.build(options, images, Plan())
    seen: dict[str, float] = {}
    for _, stats in train(system, images, steps=steps, batch=options.batch, accumulate=options.accumulate):
        seen |= {name: value.item() for name, value in stats.items()}
    assert all(math.isfinite(value) for value in seen.values()), seen
    assert system.decoder is not None
    x = system.decoder(system.decoder.prior(5))
    assert x.shape == (5, *images.shape)
    return seen


@pytest.mark.parametrize("objective", objectives.ADVERSARIAL)
@pytest.mark.parametrize("net", ["mlp", "dcgan"])
def test_every_objective_plays_with_every_network(objective: str, net: str) -> None:
    seen = play({"objective": objective, "net": net}, steps=6)
    assert {"critic/loss", "generator/loss", "critic/accuracy_real", "critic/accuracy_fake"} <= seen.keys()


@pytest.mark.parametrize("penalty", objectives.PENALTIES)
def test_every_penalty_joins_the_critics_loss(penalty: str) -> None:
    assert f"critic/{penalty}" in play({"penalty": f"{penalty}:2"})


@pytest.mark.parametrize(
    "settings",
    [
        {"critic_norm": "spectral"},
        {"critic_norm": "batch"},
        {"minibatch_stddev": True},
        {"minibatch_discrimination": 3},
        {"pack": 2},
        {"dropout": 0.3},
        {"ema": 0.9},
        {"augment": "diffaugment"},
        {"augment": "diffaugment", "augment_policy": "translation"},
        {"augment": "ada"},
        {"net": "residual", "objective": "r3gan", "width": 16},
        {"net": "mlp", "critic_norm": "spectral", "dropout": 0.3, "pack": 4, "minibatch_stddev": True},
        {"optimizer": "rmsprop", "net": "mlp", "out": "sigmoid"},
        {"accumulate": 2},
    ],
    ids=str,
)
def test_every_option_of_the_networks_plays(settings: dict[str, object]) -> None:
    play(settings)


def test_points_and_colour_play_too() -> None:
    play({"objective": "r3gan"}, Noise(2))
    play({}, Noise(3, 16, 16))


def test_began_logs_its_control_and_ada_its_probability() -> None:
    assert {"began/k", "began/M"} <= play({"objective": "began"}).keys()
    assert "augment/p" in play({"augment": "ada"})


def test_the_policy_says_what_augmentation_does() -> None:
    options = recipes.override(GAN(), SMALL | {"augment": "diffaugment", "augment_policy": "translation"})
    game = recipes.build(options, GREY, Plan()).phases[0].loss.__self__  # pyright: ignore[reportFunctionMemberAccess]
    x = torch.full((20, 1, *GREY.shape[1:]), 0.7)
    assert game.augment(x).unique().tolist() == pytest.approx([0.0, 0.7]), "moved, neither coloured nor cut"


def test_wgan_clips_the_critic() -> None:
    options = recipes.override(GAN(), SMALL | {"objective": "wgan", "net": "mlp"})
    system = recipes.build(options, GREY, Plan())
    for _ in train(system, GREY, steps=2, batch=8):
        pass
    largest = max(p.abs().max().item() for p in system.modules["critic"].parameters())
    assert largest == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"penalty": "gp:10", "critic_norm": "batch"}, "critic_norm: .*depend on the whole batch"),
        ({"penalty": "fd-r1", "dropout": 0.3}, "dropout"),
        ({"objective": "began", "net": "residual"}, "autoencoder"),
        ({"objective": "began", "pack": 2}, "pack: 2 is not possible .*use 1 with objective 'began'"),
        ({"pack": 3}, "pack: 3 does not divide batch=8"),
        ({"net": "mlp", "critic_norm": "batch"}, "does not exist for net=mlp"),
        ({"net": "residual", "dropout": 0.1}, "residual"),
        ({"objective": "wgam"}, "wgan"),
        ({"penalty": "r3"}, "r1"),
        ({"penalty": "r1:much"}, "not a number"),
        ({"penalty": "r1:-1"}, "penalty: the weight -1 .*0 or more"),
        ({"activation": "rleu", "net": "mlp"}, "relu"),
        ({"augment": "diffaugment", "augment_policy": "color,translate"}, "translation"),
    ],
    ids=str,
)
def test_an_incompatible_pair_is_refused_with_the_reason(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        recipes.build(recipes.override(GAN(), SMALL | settings), GREY, Plan())


def test_shapes_that_a_network_cannot_draw_are_refused() -> None:
    with pytest.raises(RequestError, match="use size=24x24 or size=20x20, or net=mlp"):
        recipes.build(GAN(net="dcgan"), Noise(1, 22, 22), Plan())
    with pytest.raises(RequestError, match="net=mlp"):
        recipes.build(GAN(net="dcgan"), Noise(2), Plan())
    with pytest.raises(RequestError, match="points"):
        recipes.build(GAN(augment="ada"), Noise(2), Plan())


def linear_sizes(model: nn.Module) -> list[int]:
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    return [layers[0].in_features, *(m.out_features for m in layers)]


@pytest.mark.parametrize(
    ("name", "shape", "generator", "critic"),
    [
        ("sine", (2,), [2, 16, 32, 2], [2, 256, 128, 64, 1]),
        ("mlp", (1, 28, 28), [100, 256, 512, 1024, 784], [784, 1024, 512, 256, 1]),
        ("mlp-bn", (1, 28, 28), [64, 128, 256, 512, 1024, 784], [784, 1024, 512, 256, 1]),
        ("mlp-selu", (1, 28, 28), [100, 100, 150, 784], [784, 150, 100, 1]),
        ("mlp-wide", (1, 28, 28), [100, 10_000, 4_000, 784], [784, 10_000, 1]),
    ],
)
def test_perceptrons_have_the_sources_sizes(
    name: str, shape: tuple[int, ...], generator: list[int], critic: list[int]
) -> None:
    system = recipes.build(recipes.recipe(name), Noise(*shape), Plan())
    assert linear_sizes(system.modules["generator"]) == generator
    assert linear_sizes(system.modules["critic"]) == critic


@pytest.mark.parametrize("size", [8, 16, 28, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_dcgan_draws_every_size(size: int, channels: int) -> None:
    images = Noise(channels, size, size)
    options = recipes.override(recipes.recipe("dcgan"), {"width": 2, "max_width": 8, "latent": 4})
    system = recipes.build(options, images, Plan())
    generator = system.modules["generator"].eval()
    x = generator(torch.randn(2, 4, 1, 1))
    assert x.shape == (2, channels, size, size)
    assert x.abs().max() <= 1
    assert system.modules["critic"](x).shape == (2,)


def test_every_recipe_has_a_docstring_and_meanings_for_its_options() -> None:
    for name, make in recipes.RECIPES.items():
        assert make.__doc__, name
        rows = recipes.describe(make())
        assert [row[0] for row in rows] == [f.name for f in fields(make())]
        assert all(meaning for *_, meaning in rows)
    assert all(word in (presets.sine.__doc__ or "") for word in ("course material", "300 epochs"))


def test_options_come_in_groups() -> None:
    groups = recipes.grouped(recipes.recipe("cgan"))
    assert [row for rows in groups.values() for row in rows] == recipes.describe(recipes.recipe("cgan"))
    assert next(iter(groups)) == "Data and training" and list(groups)[-1] == "Labels"
    assert [name for name, *_ in groups["Perceptrons (net=mlp)"]] == ["hidden", "critic_hidden"]
    assert "lr" in [name for name, *_ in groups["Optimisers"]]


def test_settings_are_read_from_text() -> None:
    options = recipes.override(GAN(), {"lr": "1e-3", "hidden": "8, 16", "norm": "false", "net": "mlp"})
    assert (options.lr, options.hidden, options.norm, options.net) == (1e-3, (8, 16), False, "mlp")
    assert recipes.from_json("gan", recipes.to_json(options)) == options


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"learning_rat": "1"}, "option"),
        ({"lr": "fast"}, "float"),
        ({"net": "mpl"}, "mlp"),
        ({"hidden": "a,b"}, "int"),
        ({"pack": 0}, "pack: 0 .*give 1 or more"),
        ({"dropout": "1.5"}, "give 0 to 0.99"),
        ({"hidden": "8,0"}, "give 1 or more"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(RequestError, match=reason) as error:
        recipes.override(GAN(), settings)
    assert error.value.field == f"options.{next(iter(settings))}"


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RequestError, match="dcgan"):
        recipes.recipe("dgcan")


def test_turns_repeat_k_critic_and_m_generator_steps() -> None:
    def order(k: int, m: int, steps: int = 12, unit: str = "steps") -> str:
        critic, generator = schedules(GAN(critic_steps=k, generator_steps=m, turns=unit, batch=64), 128)
        return " ".join("D" * critic.active(step) + "G" * generator.active(step) for step in range(steps))

    assert order(1, 1, 3) == "DG DG DG"
    assert order(3, 1, 6) == "D D DG D D DG"
    assert order(1, 2, 4) == "DG G DG G"
    assert order(2, 2, 6) == "D DG G D DG G"
    assert order(1, 1, 6, "epochs") == "D DG G D DG G"


def test_the_learning_rate_rises_and_falls() -> None:
    at = Training(warmup=10, decay=100).lr_factor
    assert at(0) == pytest.approx(0.1)
    assert at(9) == pytest.approx(1.0, abs=0.03)
    assert at(50) == pytest.approx(0.5)
    assert at(100) == at(500) == 0.01  # training longer still trains
    assert Training().lr_factor(12345) == 1


def test_auto_follows_the_objective_and_the_shape() -> None:
    o = resolve(GAN(objective="wgan"), (1, 28, 28))
    assert (o.net, o.critic_norm, o.clip, o.critic_steps) == ("dcgan", "batch", 0.01, 5)
    o = resolve(GAN(objective="wgan-gp"), (2,))
    assert (o.net, o.critic_norm, o.penalty, o.out) == ("mlp", "none", "gp:10", "linear")
    assert resolve(GAN(objective="wgan-gp"), (1, 28, 28)).critic_norm == "none"


def test_the_projection_is_the_transposed_convolution() -> None:
    for bias in (True, False):
        layer = InputProjection(5, 3, 4, bias=bias)
        z = torch.randn(2, 5, 1, 1)
        assert torch.allclose(layer(z), nn.ConvTranspose2d.forward(layer, z), atol=1e-6)


def test_a_lazy_penalty_keeps_its_weight_whatever_the_turns() -> None:
    options = recipes.override(GAN(), SMALL | {"penalty": "r1:1", "penalty_every": 4, "generator_steps": 3})
    system = recipes.build(options, GREY, Plan())
    steps = [stats for _, stats in train(system, GREY, steps=24, batch=8)]
    assert sum("critic/loss" in stats for stats in steps) == 8
    assert sum("critic/r1" in stats for stats in steps) == 2


def test_packed_penalties_agree() -> None:
    """R1 and its finite differences both judge packs, so that their expectations stay equal."""
    torch.manual_seed(0)
    critic = MLPCritic((2,), (64, 64), "tanh", pack=4)
    x = torch.randn(4096, 2)
    exact, estimate = objectives.r1(critic, x, x), objectives.fd_r1(critic, x, x, sigma=1e-2)
    assert exact.shape == estimate.shape == (1024,)
    assert estimate.mean().item() == pytest.approx(exact.mean().item(), rel=0.15)


def test_begans_autoencoder_has_no_batch_norm() -> None:
    system = recipes.build(recipes.override(GAN(), SMALL | {"objective": "began"}), GREY, Plan())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in system.modules["critic"].modules())
