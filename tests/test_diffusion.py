"""Diffusion: the network, its scalings and losses, training, resuming, and every sampler as a decoder."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

import ganvas
from benchmarks import samplers
from ganvas import latent, nets, recipes
from ganvas.cli import main
from ganvas.data import open_data
from ganvas.errors import RequestError
from ganvas.frozen.diffusion import Diffusion
from ganvas.nets.denoiser import PRECONDITIONINGS, Denoiser
from ganvas.nets.unet import UNet
from ganvas.objectives.denoising import DENOISING, NOISES, denoising_loss
from ganvas.plan import Plan
from ganvas.recipes.diffusion import DenoisingLoss, resolve
from ganvas.run import Run, checkpoint
from ganvas.samplers import SAMPLERS
from ganvas.types import Batch

SMALL = {"width": 8, "batch": 16, "warmup": 0, "sampling_steps": 3, "monitor_every": 0}


def stir(module: torch.nn.Module, seed: int = 0) -> None:
    """Weights that are none of them zero, as training leaves them."""
    torch.manual_seed(seed)
    for p in module.parameters():
        torch.nn.init.normal_(p, 0, 0.1)


# -- the network -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 28, 28), {"patch": 2}),
        ((3, 32, 32), {"levels": 3, "depth": 2}),
        ((1, 9, 14), {"levels": 3}),
        ((3, 8, 8), {"levels": 1, "attention": False}),
        ((1, 8, 8), {"width": 40}),
    ],
)
def test_images_of_any_size(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    network = UNet(shape, 3, **{"width": 8, **options})
    x, c = torch.randn(4, *shape), torch.linspace(-1, 1, 4)
    assert torch.equal(network(x, c), torch.zeros(4, *shape))  # its last layer starts at zero
    stir(network)
    y = network(x, c, torch.tensor([0, 1, 2, 3]))
    assert y.shape == x.shape
    assert not torch.allclose(network(x, c + 0.1), network(x, c))  # it knows the noise level
    none = network(x, c)
    torch.testing.assert_close(none[3:], y[3:])  # the last class is that of images without one
    assert not torch.allclose(none[:3], y[:3])  # and it knows the others


def test_attention_sees_all_of_the_image() -> None:
    """Where the convolutions of a level do not reach, attention does."""
    x, c = torch.zeros(1, 1, 40, 40), torch.zeros(1)
    for attention, far in ((True, True), (False, False)):
        network = UNet((1, 40, 40), width=8, levels=1, attention=attention)
        stir(network)
        for m in network.modules():  # which sees everything as well
            if isinstance(m, torch.nn.GroupNorm):
                m.forward = lambda x: x
        spot = x.clone()
        spot[0, 0, 0, 0] = 1
        assert bool((network(spot, c) - network(x, c))[0, 0, 39, 39].abs() > 1e-9) == far


def test_patches_that_do_not_fit() -> None:
    with pytest.raises(RequestError, match=r"patches of 4 pixels do not fit items of shape \(1, 30, 30\); use patch=1"):
        UNet((1, 30, 30), patch=4)


# -- scalings and losses -----------------------------------------------------------------------------------------------

SIGMA = torch.tensor([0.01, 0.3, 1.0, 7.0, 80.0])


def test_edm_keeps_unit_variance() -> None:
    """Karras et al. 2022, appendix B.6: of what the network takes, and of what it is to give, at the loss's weight."""
    skip, out, into, level = PRECONDITIONINGS["edm"](SIGMA, 0.5)
    torch.testing.assert_close(into**2 * (0.25 + SIGMA**2), torch.ones(5))
    torch.testing.assert_close(((1 - skip) ** 2 * 0.25 + skip**2 * SIGMA**2) / out**2, torch.ones(5))
    torch.testing.assert_close(DENOISING["edm"].weight(SIGMA, 0.5) * out**2, torch.ones(5))
    torch.testing.assert_close(level, SIGMA.log() / 4)


def test_flow_is_the_loss_of_the_velocity() -> None:
    """‖F(xₜ, t) - (ε - x)‖² at xₜ = (1 - t) x + t ε, as Lipman and Liu write it."""
    network = UNet((1, 8, 8), width=8)
    stir(network)
    x, noise = torch.randn(5, 1, 8, 8), torch.randn(5, 1, 8, 8)
    t = SIGMA / (1 + SIGMA)
    at = t[:, None, None, None]
    velocity = network((1 - at) * x + at * noise, t)
    expected = (velocity - (noise - x)).square().mean((1, 2, 3))

    denoised = Denoiser(network, "flow")(x + SIGMA[:, None, None, None] * noise, SIGMA)
    found = denoising_loss(x, denoised, DENOISING["flow"].weight(SIGMA, 0.5))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_noise_levels() -> None:
    torch.manual_seed(0)
    logs = NOISES["lognormal"](100_000, -1.2, 1.2, "cpu").log()
    assert logs.mean().item() == pytest.approx(-1.2, abs=0.02)
    assert logs.std().item() == pytest.approx(1.2, abs=0.02)
    sigma = NOISES["uniform"](100_000, 0, 0, "cpu")
    t = (sigma / (1 + sigma)).sort().values
    torch.testing.assert_close(t, torch.linspace(0, 1, 100_000), atol=0.01, rtol=0)
    assert sigma.isfinite().all() and (sigma > 0).all()


def test_labels_are_dropped_at_their_rate() -> None:
    network = UNet((1, 8, 8), classes=3, width=8)
    options = resolve(recipes.override(recipes.recipe("diffusion"), {"label_dropout": 0.25}), (1, 8, 8))
    task = DenoisingLoss(options, Denoiser(network))
    torch.manual_seed(0)
    labels = torch.arange(20_000) % 3
    dropped = task.drop_labels(labels)
    assert dropped is not None
    kept = dropped != 3
    assert torch.equal(dropped[kept], labels[kept])
    assert (~kept).float().mean().item() == pytest.approx(0.25, abs=0.01)


def test_the_loss_of_a_batch() -> None:
    """A network that gives nothing has the loss of an optimal denoiser of pure noise: about 1, for either objective."""
    x = torch.randn(4000, 1, 8, 8) * 0.5
    for name, expected in (("edm", 1.0), ("flow", 1.25)):  # flow: var(ε - x) = 1 + 0.25
        options = resolve(recipes.recipe("diffusion" if name == "edm" else "flow"), (1, 8, 8))
        task = DenoisingLoss(options, Denoiser(UNet((1, 8, 8), width=8), name, 0.5))
        torch.manual_seed(0)
        loss, stats = task.loss(Batch(x, None, torch.arange(4000)), 0)
        assert loss.item() == pytest.approx(expected, rel=0.03)
        assert stats["denoiser/mse_low"] < stats["denoiser/mse_mid"] < stats["denoiser/mse_high"]


# -- the decoder -------------------------------------------------------------------------------------------------------


def decoder(**options: Any) -> Diffusion:
    made = Diffusion((1, 8, 8), 3, {"width": 8}, **options)
    stir(made)
    return made.eval()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_image_is_a_function_of_its_latent(sampler: str) -> None:
    generator = ganvas.frozen.copy_generator(decoder(sampler=sampler, steps=4), "diffusion", "abc", "cpu")
    z = latent.from_seeds(generator.decoder, range(5))
    assert z.shape == (5, 1, 8, 8)
    images = generator.sample(range(5), label="b", batch=5)
    assert images.abs().max() <= 1
    torch.testing.assert_close(generator.sample(range(5), label=1, batch=2), images, atol=1e-4, rtol=0)
    torch.testing.assert_close(generator.sample([3], label=1), images[3:4], atol=1e-4, rtol=0)
    assert not torch.allclose(generator.sample([3], label=2), images[3:4], atol=1e-3)


def test_the_steps_on_the_way() -> None:
    made = decoder(steps=5)
    z = made.prior(2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        way = list(made.trajectory(z, torch.tensor([0, 1])))
        assert len(way) == 5
        torch.testing.assert_close(way[-1].clamp(-1, 1), made(z, torch.tensor([0, 1])))


def test_guidance_changes_images_and_needs_labels() -> None:
    z = torch.randn(2, 1, 8, 8)
    labels = torch.tensor([0, 1])
    plain, guided = decoder(steps=3), decoder(steps=3, guidance=3.0)
    with torch.no_grad():
        assert not torch.allclose(plain(z, labels), guided(z, labels), atol=1e-3)
        torch.testing.assert_close(plain(z), guided(z))  # without a label there is nothing to be guided to
    with pytest.raises(RequestError, match="guidance: 2 needs labels, and there are none; use 1"):
        Diffusion((1, 8, 8), guidance=2.0)
    with pytest.raises(RequestError, match=r"unknown sampler 'dpm\+'; did you mean dpm\+\+"):
        Diffusion((1, 8, 8), sampler="dpm+")


def test_a_frozen_file_goes_round(tmp_path: Path) -> None:
    frozen = ganvas.frozen.copy_generator(
        decoder(preconditioning="flow", sampler="heun", steps=3), "flow", "abc", "cpu"
    )
    frozen.write(tmp_path / "generator.safetensors")
    loaded = ganvas.load(tmp_path / "generator.safetensors")
    assert isinstance(loaded, ganvas.TrainedGenerator) and isinstance(loaded.decoder, Diffusion)
    assert loaded.decoder.options == frozen.decoder.options
    assert torch.equal(loaded.sample(range(3)), frozen.sample(range(3)))


def test_what_the_weights_do_not_depend_on_can_be_changed() -> None:
    made = decoder(steps=3, sampler="euler")
    frozen = ganvas.frozen.copy_generator(made, "diffusion", "abc", "cpu")
    other = frozen.adjusted({"sampler": "heun", "steps": "7", "guidance": 2})
    assert isinstance(other.decoder, Diffusion)
    assert other.decoder.options == {**made.options, "sampler": "heun", "steps": 7, "guidance": 2.0}
    same = Diffusion((1, 8, 8), 3, {"width": 8}, sampler="heun", steps=7, guidance=2.0)
    same.load_state_dict(made.state_dict())
    expected = ganvas.frozen.copy_generator(same, "diffusion", "abc", "cpu").sample(range(2))
    assert torch.equal(other.sample(range(2)), expected)
    assert frozen.adjusted({"schedule": "karras"}).sample(range(2)).equal(frozen.sample(range(2)))
    assert not frozen.adjusted({"schedule": "straight"}).sample(range(2)).equal(frozen.sample(range(2)))
    for settings, message in (
        ({"width": 3}, "unknown option 'width'; choose from: guidance, sampler, schedule, sigma_max, sigma_min, steps"),
        ({"steps": "many"}, "steps: many is not of type int"),
        ({"guidance": "nan"}, "guidance: nan is not a finite number"),
        ({"steps": 0}, "steps: 0 is not possible; give 1 to 10,000"),
        ({"sampler": "hoin"}, "unknown sampler 'hoin'"),
        ({"schedule": "karas"}, "unknown schedule 'karas'; did you mean karras"),
    ):
        with pytest.raises(RequestError, match=message):
            frozen.adjusted(settings)
    plain = ganvas.frozen.copy_generator(nets.MLPGenerator((1, 8, 8), 4, (8,)), "mlp", (), "cpu")
    with pytest.raises(RequestError, match="steps: this 'mlp' generator has no options; leave it out"):
        plain.adjusted({"steps": 3})
    assert plain.adjusted({}) is plain


# -- training ----------------------------------------------------------------------------------------------------------


def train(path: Path, steps: int, recipe: str = "diffusion", data: str = "digits", **options: object) -> Run:
    return ganvas.train(
        recipe,
        data,
        out=path,
        steps=steps,
        options={**SMALL, **options},
        device="cpu",
        precision="fp32",
        progress=False,
    )


@pytest.mark.parametrize("recipe", ["diffusion", "flow"])
def test_resuming_goes_on_to_the_same_bits(recipe: str, tmp_path: Path) -> None:
    def outcome(path: Path) -> list[bytes]:
        newest = checkpoint.steps(path / "checkpoints")[0].relative_to(path)
        names = (f"{newest}/{checkpoint.MODEL}", f"{newest}/{checkpoint.OPTIMISERS}", "generator.safetensors")
        return [(path / name).read_bytes() for name in (*names, "samples/step-000012.png")]

    options = {"log_every": 3, "sample_every": 12, "checkpoint_every": 5, "warmup": 8}
    train(tmp_path / "whole", 12, recipe, **options)
    left = random.randint(1, 11)
    settings = {**SMALL, **options}
    for progress in Run.create(
        recipe, "digits", out=tmp_path / "cut", steps=12, options=settings, precision="fp32"
    ).advance():
        if progress.step == left:
            break
    torch.manual_seed(random.randint(0, 99))
    ganvas.resume(tmp_path / "cut", progress=False)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_the_average_is_what_is_sampled(tmp_path: Path) -> None:
    trained = train(tmp_path / "run", 6, lr=0.01)
    system, _ = trained._open()
    assert isinstance(system.decoder, Diffusion)
    mine, theirs = system.decoder.denoiser, system.modules["denoiser"]
    assert {*map(id, mine.parameters())} == {*map(id, system.modules["average"].parameters())}
    assert any(not torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    plain = train(tmp_path / "plain", 2, ema=0)
    system, _ = plain._open()
    assert isinstance(system.decoder, Diffusion) and system.decoder.denoiser is system.modules["denoiser"]


@pytest.mark.parametrize("recipe", ["diffusion", "flow"])
def test_it_learns_the_digits(recipe: str, tmp_path: Path) -> None:
    """Samples come nearer to the mean image of their class than noise or a class mixed up would."""
    trained = train(
        tmp_path / "run", 150, recipe, width=16, batch=64, lr=4e-3, ema=0.95, log_every=25, sampling_steps=8
    )
    losses = [line["denoiser/loss"] for line in trained.log]
    assert losses[-1] < 0.6 * losses[0]
    digits = open_data("digits")
    rows = digits.at(torch.arange(len(digits)))
    assert rows.label is not None
    means = torch.stack([rows.x[rows.label == k].mean(0) for k in range(10)]).flatten(1)
    samples = trained.sample(range(200)).flatten(1)  # the classes in turn
    nearest = torch.cdist(samples, means).argmin(1)
    assert (nearest == torch.arange(200) % 10).float().mean() > 0.6
    assert samples.std(0).mean() > 0.5 * rows.x.flatten(1).std(0).mean()


def test_the_commands_of_latents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(tmp_path / "run", 2).path
    for words in (
        ["sample", run, "--label", "3", "--seeds", "0-3", "--out", tmp_path / "grid.png"],
        ["sample", run, "--set", "sampler=heun", "--set", "guidance=2", "--out", tmp_path / "guided.png"],
        ["sample", run, "--truncation", "0.5", "--seeds", "0-1", "--out", tmp_path / "typical.png"],
        ["walk", run, "--seeds", "0,1", "--seconds", "0.2", "--out", tmp_path / "walk.gif"],
        ["breed", run, "--parents", "3,17", "--children", "2", "--out", tmp_path / "litter"],
        ["project", run, tmp_path / "grid.png", "--steps", "1", "--compare", "0", "--out", tmp_path / "z.npz"],
    ):
        assert main([str(word) for word in words]) in (None, 0)
    for name in ("grid.png", "guided.png", "typical.png", "walk.gif", "litter", "z.npz"):
        assert (tmp_path / name).exists()


def test_what_cannot_be_trained() -> None:
    with pytest.raises(RequestError, match="diffusion needs images, not items of shape"):
        recipes.build(recipes.recipe("diffusion"), open_data("ring"), Plan())
    options = recipes.override(recipes.recipe("diffusion"), {"guidance": 2, "labels": False})
    with pytest.raises(RequestError, match="guidance: 2 needs labels"):
        recipes.build(options, open_data("digits"), Plan())
    options = recipes.override(recipes.recipe("diffusion"), {"sampler": "oiler"})
    with pytest.raises(RequestError, match="unknown sampler 'oiler'; did you mean euler"):
        recipes.build(options, open_data("digits"), Plan())


def test_guidance_is_for_data_with_classes() -> None:
    for settings, guidance, classes in (({}, 1.5, 10), ({"labels": False}, 1.0, 0), ({"guidance": 1}, 1.0, 10)):
        options = recipes.override(recipes.recipe("diffusion"), {"width": 8, **settings})
        made = recipes.build(options, open_data("digits"), Plan()).decoder
        assert isinstance(made, Diffusion)
        assert (made.options["guidance"], made.options["classes"]) == (guidance, classes)


def test_patches_are_chosen_to_divide_the_image() -> None:
    found = {size: resolve(recipes.recipe("diffusion"), (1, size, size)).patch for size in (8, 23, 28, 32, 33, 50, 64)}
    assert found == {8: 1, 23: 1, 28: 2, 32: 2, 33: 1, 50: 2, 64: 4}


# -- the benchmark -----------------------------------------------------------------------------------------------------


def test_samplers_are_measured_alike(tmp_path: Path) -> None:
    run = train(tmp_path / "run", 2).path
    chosen = samplers.cases("euler:2 heun:2 dpm++:2:1.5")
    found = samplers.measure(run, chosen, "digits", 60, ("fid",))
    assert [(record["sampler"], record["steps"], record["passes"]) for record in found] == [
        ("euler", 2, 2),
        ("heun", 2, 3),
        ("dpm++", 2, 4),
    ]
    expected = ganvas.evaluate(run, "digits", metrics=["fid"], samples=60, device="cpu")
    (again,) = samplers.measure(run, samplers.cases("dpm++:3:1.5"), "digits", 60, ("fid",))
    assert again["fid"][0] == pytest.approx(expected.figures["fid"].value, rel=1e-4)
    assert samplers.row(again).startswith("| `dpm++`, guidance 1.5 | 3 | 6 | ")
    assert samplers.way(run, {"sampler": "euler", "steps": 4}, range(2), (80, 1, 0)).size[0] > 3 * 8
