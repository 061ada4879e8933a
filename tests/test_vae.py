"""The variational autoencoder: its networks, what it learns and shows, what it leaves behind, and what is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import ganvas
from ganvas import frozen, nets, recipes
from ganvas.cli import main
from ganvas.data import Dataset, open_data
from ganvas.errors import RequestError
from ganvas.loop import train
from ganvas.nets.vae import PAIRS
from ganvas.objectives.likelihoods import LIKELIHOODS
from ganvas.plan import Plan
from ganvas.recipes import Training
from ganvas.recipes.vae import VAE, beta, bounds, resolve
from ganvas.run import Run, checkpoint

SMALL = {"latent": 4, "hidden": "32", "width": 4, "batch": 32, "lr": 0.005, "measured": 50, "importance": 5, "ema": 0.9}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return open_data("digits", hold_out=0.1)


# -- the network -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", PAIRS)
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 28, 28)])
def test_images_become_gaussians_and_gaussians_images(net: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = nets.VAE(shape, net, latent=5, hidden=(8, 7), width=4).eval()
    x = torch.randn(3, *shape).clamp(-1, 1)
    mu, log_var = network.posterior(x)
    assert mu.shape == log_var.shape == (3, 5)
    assert torch.equal(network.encode(x), mu)
    images = network.decode(mu)
    assert images.shape == (3, *shape) and images.abs().max() <= 1
    torch.testing.assert_close(network.decoder.raw(mu).tanh(), images)
    assert network.decoder.prior(2).shape == (2, 5)


def test_the_raw_output_of_a_sigmoid_is_logits() -> None:
    network = nets.VAE((1, 8, 8), "mlp", latent=5, hidden=(8,), out="sigmoid").eval()
    z = torch.randn(4, 5)
    torch.testing.assert_close((network.decode(z) + 1) / 2, network.decoder.raw(z).sigmoid())


def test_the_frozen_network_goes_round(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nets.VAE((1, 16, 16), "dcgan", latent=5, width=4, out="sigmoid", log_scale=-1.5, learned=True)
    x = torch.rand(6, 1, 16, 16)
    network.posterior(x)  # so that batch norm has statistics of its own
    made = frozen.copy_autoencoder(network, "vae", {"likelihood": "logistic"})
    made.write(tmp_path / "autoencoder.safetensors")
    again = frozen.load_autoencoder(tmp_path)
    assert isinstance(again.network, nets.VAE) and again.facts == {"likelihood": "logistic"}
    assert again.network.log_scale.item() == pytest.approx(-1.5)
    assert torch.equal(again.reconstruct(x), made.reconstruct(x))
    assert torch.equal(again.encode(x), made.network.encode(x))
    with pytest.raises(RequestError, match=r"takes images of 1×16×16, not of 3×16×16; resize them first"):
        again.encode(torch.zeros(1, 3, 16, 16))


# -- what is measured --------------------------------------------------------------------------------------------------


def test_the_bounds_are_in_order_and_always_the_same(digits: Dataset) -> None:
    torch.manual_seed(0)
    network = nets.VAE(digits.shape, "mlp", latent=4, hidden=(8,), log_scale=-1.0).eval()
    with torch.no_grad():  # far from the prior, so that a single sample is a poor one
        network.encoder.layers[-1].linear.bias.fill_(1.0)  # pyright: ignore[reportAttributeAccessIssue]
    one, many = (bounds(network, "gaussian", digits.rows(torch.arange(30)), k) for k in (1, 50))
    assert many.importance < many.bound
    assert one.importance == pytest.approx(one.bound, rel=0.02)  # of one sample, but for the KL in closed form
    torch.testing.assert_close(one.kl, many.kl)
    again = bounds(network, "gaussian", digits.rows(torch.arange(30)), 50)
    assert again.importance == many.importance


def test_beta_rises_in_a_line() -> None:
    assert [beta(VAE(beta=3.0), step) for step in (0, 500)] == [3, 3]
    assert [beta(VAE(beta=3.0, beta_warmup=10), step) for step in (0, 4, 9, 500)] == pytest.approx([0.3, 1.5, 3, 3])


def test_beta_weighs_the_divergence(digits: Dataset) -> None:
    def stats(**options: object) -> dict[str, float]:
        torch.manual_seed(0)
        system = recipes.build(recipes.override(VAE(), {**SMALL, **options}), digits, Plan())
        return {name: value.item() for name, value in next(train(system, digits, steps=1, batch=8))[1].items()}

    one, four = stats(), stats(beta=4.0)
    assert one["vae/loss"] == pytest.approx(one["vae/nll"] + one["vae/kl"])
    assert four["vae/loss"] == pytest.approx(one["vae/nll"] + 4 * one["vae/kl"])
    free = stats(free_bits=2.0)  # more than any unit says yet
    assert free["vae/loss"] == pytest.approx(one["vae/nll"] + 2 * 4)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("scale", [0.0, 0.3])
def test_a_scale_is_learned_unless_it_is_given(digits: Dataset, likelihood: str, scale: float) -> None:
    o = recipes.override(VAE(), {**SMALL, "likelihood": likelihood, "scale": scale})
    torch.manual_seed(0)
    system = recipes.build(o, digits, Plan())
    network = system.modules["vae"]
    assert isinstance(network, nets.VAE)
    before = network.log_scale.item()
    for _ in train(system, digits, steps=3, batch=8):
        pass
    assert (network.log_scale.item() != before) == (likelihood != "bernoulli" and not scale)
    assert before == pytest.approx(torch.tensor(scale or 0.2).log().item())


@pytest.mark.parametrize(
    ("shape", "net"),
    [
        ((1, 8, 8), "mlp"),
        ((1, 28, 28), "dcgan"),
        ((3, 64, 64), "dcgan"),
        ((3, 60, 60), "mlp"),
        ((1, 28, 32), "dcgan"),
        ((1, 30, 50), "mlp"),
    ],
)
def test_the_network_follows_the_shape(shape: tuple[int, ...], net: str) -> None:
    assert resolve(VAE(), shape).net == net


# -- training ----------------------------------------------------------------------------------------------------------


def run(path: Path, steps: int, **options: object) -> Run:
    settings = {**SMALL, **options}
    return ganvas.train(
        "vae", "digits", out=path, steps=steps, options=settings, device="cpu", precision="fp32", progress=False
    )


def test_it_learns_and_tells(tmp_path: Path) -> None:
    trained = run(tmp_path / "run", 400, log_every=100, sample_every=200, likelihood="logistic", latent=8)
    log = {line["step"]: line for line in trained.log}
    assert {"vae/nll", "vae/kl", "vae/active_units"} <= log[100].keys()
    last = log[400]
    assert last["vae/loss"] == pytest.approx(last["vae/nll"] + last["vae/kl"], rel=1e-5)
    bound = last["held_out/reconstruction"] + last["held_out/kl"]
    assert last["held_out/bound"] == pytest.approx(bound)
    assert last["held_out/importance_bound"] < bound < log[200]["held_out/bound"]
    assert last["held_out/bits_per_dim"] == pytest.approx(bound / 64 / torch.tensor(2.0).log().item())
    assert last["held_out/active_units"] >= 4

    autoencoder, generator = frozen.load_autoencoder(trained.path), ganvas.load(trained.path)
    assert isinstance(generator, frozen.TrainedGenerator)
    held = open_data("digits", hold_out=0.1).held_out
    assert held is not None
    x = held.at(torch.arange(100)).x
    error = (autoencoder.reconstruct(x) - x).square().mean()
    assert error < 0.5 * (x - x.mean(0)).square().mean()  # better than the mean digit
    z = autoencoder.encode(x)
    assert torch.equal(generator.decode(z), autoencoder.decode(z))
    assert generator.sample(range(4)).shape == (4, 1, 8, 8)


def test_a_posterior_that_collapses_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained = run(tmp_path / "run", 60, beta=1000.0, lr=0.02, log_every=10, monitor_every=10)
    (found,) = {found["kind"] for line in trained.log for found in line.get("findings", ())}
    assert found == "posterior-collapse"
    assert "no unit of the latent depends on the image" in caplog.text
    assert trained.log[-1]["held_out/active_units"] == 0


def test_resuming_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def outcome(path: Path) -> Sequence[object]:
        newest = checkpoint.steps(path / "checkpoints")[0]
        names = ("autoencoder.safetensors", "generator.safetensors", "samples/step-000030.png")
        names += tuple(f"{newest.relative_to(path)}/{name}" for name in (checkpoint.MODEL, checkpoint.OPTIMISERS))
        lines = [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]
        timeless = ("seconds", "images_per_second")
        return [(path / name).read_bytes() for name in names] + [
            {key: value for key, value in line.items() if key not in timeless} for line in lines if line["step"] == 30
        ]

    options = {"log_every": 1, "sample_every": 10, "checkpoint_every": 7, "beta_warmup": 20, "decay": 30, "warmup": 5}
    run(tmp_path / "whole", 30, **options)
    cut, settings, left = tmp_path / "cut", {**SMALL, **options}, random.randint(1, 29)
    started = Run.create("vae", "digits", out=cut, steps=30, options=settings, device="cpu", precision="fp32")
    ticks = started.advance()
    for progress in ticks:
        if progress.step == left:
            break
    ticks.close()
    ganvas.resume(cut, progress=False)
    assert outcome(cut) == outcome(tmp_path / "whole"), f"left at step {left}"


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_looking_does_not_change_training(
    digits: Dataset, ema: float, unchanged_by_looking: Callable[[Training, Dataset], None]
) -> None:
    unchanged_by_looking(recipes.override(VAE(), {**SMALL, "ema": ema, "net": "dcgan", "steps": 4}), digits)


def test_the_commands_take_the_decoder_for_a_generator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(run(tmp_path / "run", 5).path)
    assert main(["sample", path, "--seeds", "0-3", "--out", str(tmp_path / "grid.png")]) == 0
    assert main(["walk", path, "--seeds", "0,1", "--seconds", "0.2", "--out", str(tmp_path / "walk.gif")]) == 0
    assert main(["breed", path, "--parents", "0,1", "--children", "2", "--out", str(tmp_path / "litter")]) == 0
    assert {"grid.png", "walk.gif", "litter"} <= {file.name for file in tmp_path.iterdir()}
    assert "real on the right" not in (tmp_path / "run" / "report.html").read_text()  # the picture is the family's own
    capsys.readouterr()


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_data_that_it_cannot_learn_from_is_refused(digits: Dataset) -> None:
    with pytest.raises(RequestError, match=r"data: a vae needs images, not items of shape \(2,\)"):
        recipes.build(VAE(), open_data("ring", hold_out=0.1), Plan())
    with pytest.raises(RequestError, match="held_out: digits has nothing held out to measure on; use held_out="):
        recipes.build(VAE(), replace(digits, held_out=None), Plan())
    with pytest.raises(RequestError, match="batch: 1 is too small for batch normalisation"):
        recipes.build(VAE(batch=1), digits, Plan())
    with pytest.raises(RequestError, match="likelihood: 'logistik' is not possible"):
        recipes.override(VAE(), {"likelihood": "logistik"})
    with pytest.raises(RequestError, match="unknown network 'dcgam'; did you mean dcgan"):
        nets.VAE((1, 8, 8), "dcgam")
