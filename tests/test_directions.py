"""Directions: from weights, features and labels, each held to another way to the same answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas import cli, latent
from ganvas.errors import RequestError
from ganvas.latent.directions import affine_layers, first_affine, layer_inputs
from ganvas.nets import (
    ConditionalGenerator,
    DCGANGenerator,
    Generator,
    MLPGenerator,
    ProGANGenerator,
    ResidualGenerator,
)

NETS: dict[str, Generator] = {
    "mlp": MLPGenerator((1, 8, 8), latent=6, hidden=(16, 12)),
    "dcgan": DCGANGenerator((1, 8, 8), latent=6, width=8),
    "residual": ResidualGenerator((1, 8, 8), latent=6, width=8),
    "progan": ProGANGenerator((3, 8, 8), latent=6, widths=(8, 4)),
}
TAUGHT = pytest.mark.parametrize("strength", [0.3, 5.0])


class Unaffine(torch.nn.Module):
    """A network without an affine layer."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(()))

    def forward(self, z: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        return self.gain * z


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def first_response(decoder: Generator, z: torch.Tensor) -> torch.Tensor:
    """What the first affine layer makes of latents, its bias aside, (N, D)."""
    layer = affine_layers(decoder, torch.randn(2, 6))[0]
    seen = []
    with layer.register_forward_hook(lambda module, inputs, output: seen.append(output.clone())):
        decoder.eval()(torch.cat([torch.zeros_like(z[:1]), z]))
    return (seen[0][1:] - seen[0][:1]).flatten(1).detach()


@pytest.mark.parametrize("name", NETS)
def test_sefa_finds_what_the_first_layer_answers_most_to(name: str) -> None:
    decoder = NETS[name]
    found = latent.sefa(decoder, torch.randn(2, 6), count=6)
    torch.testing.assert_close(found.vectors @ found.vectors.T, torch.eye(6))
    answers = first_response(decoder, found.vectors).square().sum(1)
    torch.testing.assert_close(answers / answers.sum(), found.shares)
    other = torch.nn.functional.normalize(torch.randn(200, 6), dim=1)
    assert first_response(decoder, other).square().sum(1).max() <= answers[0] * (1 + 1e-5)


def test_the_layer_of_a_label_is_not_that_of_the_latent() -> None:
    inner = {"shape": [1, 8, 8], "latent": 6 + 4, "hidden": [20]}
    decoder = ConditionalGenerator((1, 8, 8), 6, "mlp", inner, classes=9, embedding=4).eval()
    first = next(m for m in decoder.generator.modules() if isinstance(m, torch.nn.Linear))
    torch.testing.assert_close(first_affine(decoder, torch.randn(2, 6)), first.weight.detach()[:, :6].double())
    z, label = torch.randn(3, 6), torch.tensor([0, 3, 8])
    seen = layer_inputs(decoder, z, label, layer=0)
    torch.testing.assert_close(seen, torch.cat([z, decoder.embed.detach()[label]], 1))


def test_sefa_refuses_what_it_cannot_read() -> None:
    with pytest.raises(RequestError, match="grids of 3×8×8"):
        latent.sefa(NETS["mlp"], torch.randn(2, 3, 8, 8), 2)
    with pytest.raises(RequestError, match="no affine layer"):
        latent.sefa(Unaffine(), torch.randn(2, 6), 2)


def test_features_are_those_that_enter_the_layer_asked_for() -> None:
    decoder = NETS["mlp"].eval()
    z, layers = torch.randn(5, 6), next(iter(decoder.children()))
    assert isinstance(layers, torch.nn.Sequential)
    torch.testing.assert_close(layer_inputs(decoder, z, layer=0), z)
    torch.testing.assert_close(layer_inputs(decoder, z), layers[:2](z).detach())
    torch.testing.assert_close(layer_inputs(decoder, z, layer=2), layers[:4](z).detach())
    with pytest.raises(RequestError, match="3 affine layers here, and there is no layer 3"):
        layer_inputs(decoder, z, layer=3)
    assert not any(module._forward_pre_hooks for module in decoder.modules())


@pytest.mark.parametrize("count", [40, 2000])  # fewer and more samples than features
def test_principal_directions_are_those_that_move_the_features(count: int) -> None:
    z = torch.randn(count, 3, 2)
    gains = torch.tensor([0.5, 4.0, 1.0, 2.0, 0.1, 0.0])
    turn = torch.linalg.qr(torch.randn(60, 60)).Q[:6]
    found = latent.principal((z.flatten(1) * gains) @ turn, z, count=9)
    assert found.vectors.shape == (5, 3, 2)  # along the sixth number nothing moves
    if count == 2000:
        order = found.vectors.flatten(1).abs()
        assert order.argmax(1).tolist() == [1, 3, 2, 0, 4] and order.max(1).values.min() > 0.98
        torch.testing.assert_close(found.shares[:2], torch.tensor([16 / 21.26, 4 / 21.26]), atol=0.03, rtol=0)


def test_both_ways_to_the_components_agree() -> None:
    z, w = torch.randn(50, 4), torch.randn(4, 50)
    one = latent.principal(torch.tanh(z @ w), z, 3)
    other = latent.principal(torch.nn.functional.pad(torch.tanh(z @ w), (0, 30)), z, 3)
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@TAUGHT
def test_the_boundary_is_logistic_regression(strength: float) -> None:
    from sklearn.linear_model import LogisticRegression

    z = torch.randn(300, 5)
    y = (z[:, 0] - 0.5 * z[:, 3] + 0.7 * torch.randn(300) > 0.4).long()
    found = latent.logistic(z, y, strength)
    reference = LogisticRegression(C=1 / strength, tol=1e-10).fit(z.numpy(), y.numpy())
    length = np.linalg.norm(reference.coef_)
    np.testing.assert_allclose(found.normal.numpy(), reference.coef_[0] / length, atol=1e-5)
    assert found.offset == pytest.approx(reference.intercept_[0] / length, abs=1e-5)
    assert ((found(z) > 0) == (y > 0)).float().mean() > 0.8


def test_a_boundary_between_what_is_wholly_apart_is_found_too() -> None:
    z = torch.randn(2000, 3, 4)
    found = latent.logistic(z, z[:, 1, 2] > 1.5)
    assert found.normal.shape == (3, 4) and found.normal[1, 2] > 0.97
    with pytest.raises(RequestError, match="both sides"):
        latent.logistic(z, torch.ones(2000))


@TAUGHT
def test_degrees_are_ridge_regression(strength: float) -> None:
    from sklearn.linear_model import Ridge

    z = torch.randn(100, 5) + 1
    score = z @ torch.tensor([1.0, 0, -2, 0, 0.5]) + 3 + torch.randn(100)
    found = latent.ridge(z, score, strength)
    reference = Ridge(alpha=strength).fit(z.numpy(), score.numpy())
    np.testing.assert_allclose(found.normal.numpy(), reference.coef_ / np.linalg.norm(reference.coef_), atol=1e-5)
    assert found(z.mean(0, keepdim=True)).item() == pytest.approx(0, abs=1e-5)
    with pytest.raises(RequestError, match="same score"):
        latent.ridge(z, torch.ones(100))


def test_what_is_conditioned_on_is_left_alone() -> None:
    v, others = torch.randn(2, 4), torch.randn(3, 2, 4)
    left = latent.condition(v, torch.cat([others, others[:1]]))  # one of them twice
    torch.testing.assert_close((others.flatten(1) @ left.flatten()), torch.zeros(3), atol=1e-6, rtol=0)
    assert left.norm().item() == pytest.approx(1) and (left * v).sum() > 0
    torch.testing.assert_close(latent.condition(v, others[:0]), v / v.norm())
    with pytest.raises(RequestError, match="nothing is left"):
        latent.condition(v, torch.stack([others[0], others[0] + v]))


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("run") / "generator.safetensors"
    ganvas.TrainedGenerator(MLPGenerator((1, 8, 8), latent=4, hidden=(16,)).eval(), "mlp").write(path)
    return path


@pytest.mark.parametrize("method", ["sefa", "pca"])
def test_the_command_writes_what_edit_reads(
    method: str, generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "directions.npz"
    words = ("directions", generator, "--method", method, "--count", 3, "--samples", 100, "--out", out)
    assert cli.main(list(map(str, words))) == 0
    said = capsys.readouterr().out
    assert f"{method}-0" in said and f"3 directions in {out}" in said
    found = latent.read_directions(out, torch.zeros(1, 4))
    assert found.names == tuple(f"{method}-{i}" for i in range(3))
    assert (np.diff(found.measured["share"]) <= 0).all() and (found.measured["change"] > 0).all()
    with Image.open(out.with_suffix(".png")) as picture:
        assert picture.width > 2 * picture.height  # three rows of seven
    words = ("edit", generator, "--seed", 0, "--direction", f"{out}:{method}-1", "--out", tmp_path / "strip.png")
    assert cli.main(list(map(str, words))) == 0


def test_the_command_refuses_with_its_fix(generator: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in {
        ("--out", "a.png"): ".npz",
        ("--out", "a.npz", "--count", "0"): "--count: 0 is too few; give 1 or more",
        ("--out", "a.npz", "--method", "pca", "--samples", "1"): "--samples: 1 is too few",
        ("--out", "a.npz", "--method", "pca", "--layer", "7"): "2 affine layers",
        ("--out", "a.npz", "--method", "pca", "--layer", "-1"): "no layer -1",
        ("--out", "a.npz", "--strength", "high"): "FROM:TO",
    }.items():
        assert cli.main(["directions", str(generator), *words]) == 2
        assert said in capsys.readouterr().err
