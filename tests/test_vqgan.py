"""VQGAN: its codebook, its losses, what it learns, shows and leaves, and that a resumed run is the same to the bit."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas import frozen, media, nets, recipes
from ganvas.cli import main
from ganvas.data import Dataset, open_data
from ganvas.errors import RequestError, WorkError
from ganvas.features import perceptual as distances
from ganvas.loop import train
from ganvas.metrics import psnr
from ganvas.nets.patch import SMALLEST, PatchCritic
from ganvas.nets.quantize import DECAY, VectorQuantizer, count_codes, perplexity
from ganvas.objectives.codebook import codebook_loss
from ganvas.plan import Plan
from ganvas.recipes import Training, vqgan
from ganvas.recipes.vqgan import VQGAN, adaptive_weight
from ganvas.run import checkpoint

SMALL = {"ch": 8, "ch_mult": "1,2", "z_channels": 8, "embed_dim": 4, "n_embed": 16, "batch": 8, "critic_width": 4}
SMALL |= {"critic_start": 10, "critic_ramp": 0, "warmup": 0, "lr": 0.002, "perceptual": "none"}


# -- the codebook ------------------------------------------------------------------------------------------------------


def codebook(n: int = 5, dim: int = 3) -> VectorQuantizer:
    torch.manual_seed(0)
    made = VectorQuantizer(n, dim)
    torch.nn.init.normal_(made.embedding.weight)
    return made


def test_every_vector_becomes_the_nearest_code() -> None:
    made, z = codebook(), torch.randn(2, 3, 4, 6)
    quantized = made(z)
    for n, i, j in np.ndindex(2, 4, 6):
        distance = (made.embedding.weight - z[n, :, i, j]).norm(dim=1)
        assert quantized.index[n, i, j] == distance.argmin()
        torch.testing.assert_close(quantized.codes[n, :, i, j], made.embedding.weight[distance.argmin()])
    torch.testing.assert_close(quantized.z, quantized.codes)


def test_the_gradient_goes_straight_through() -> None:
    made, z = codebook(), torch.randn(2, 3, 4, 4, requires_grad=True)
    quantized = made(z)
    weight = torch.randn_like(z)
    (quantized.z * weight).sum().backward()
    torch.testing.assert_close(z.grad, weight)
    assert made.embedding.weight.grad is None  # the decoder's errors do not move the codes


def test_the_loss_moves_codes_and_outputs_toward_each_other() -> None:
    z, e = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = codebook_loss(z, e, 0.25)
    torch.testing.assert_close(loss, 1.25 * (z - e).square().flatten(1).mean(1))
    loss.sum().backward()
    assert z.grad is not None and e.grad is not None
    torch.testing.assert_close(e.grad, 2 * (e - z).detach() / 48)
    torch.testing.assert_close(z.grad, 0.25 * 2 * (z - e).detach() / 48)


def test_usage_is_remembered() -> None:
    made = codebook(4)
    index = torch.tensor([[[0, 0], [1, 3]]])
    assert made.update_usage(index).tolist() == count_codes(index, 4).tolist() == [2, 1, 0, 1]
    torch.testing.assert_close(made.usage, (1 - DECAY) * torch.tensor([0.5, 0.25, 0, 0.25]))
    torch.testing.assert_close(perplexity(torch.tensor([3.0, 3, 0, 0])), torch.tensor(2.0))
    assert perplexity(torch.tensor([7.0, 0])) == 1


def test_dead_codes_become_outputs_of_the_encoder_and_live_ones_stay() -> None:
    made, z = codebook(), torch.randn(2, 3, 4, 4)
    before = made.embedding.weight.detach().clone()
    made.usage.copy_(torch.tensor([0.5, 0.009, 0.0, 0.4, 0.091]))  # 0.05 of an even share is 0.01
    torch.manual_seed(7)
    assert made.revive(z, 0.05) == 2
    outputs = z.movedim(1, -1).reshape(-1, 3)
    for i, weight in enumerate(made.embedding.weight):
        if i in (1, 2):
            assert (outputs == weight).all(1).any()
        else:
            torch.testing.assert_close(weight, before[i])
    torch.testing.assert_close(made.usage, torch.tensor([0.5, 0.2, 0.2, 0.4, 0.091]))
    kept = made.embedding.weight.detach().clone()
    assert made.revive(z, 0.0) == 0 and torch.equal(kept, made.embedding.weight)


def test_it_begins_with_outputs_of_the_encoder() -> None:
    made, z = codebook(), torch.randn(2, 3, 4, 4)
    assert made.revive(z, 0.05) == 5
    assert all((z.movedim(1, -1).reshape(-1, 3) == weight).all(1).any() for weight in made.embedding.weight)


# -- the networks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "ch_mult", "side"), [((1, 8, 8), (1,), 8), ((1, 28, 28), (1, 2, 2), 7), ((3, 24, 16), (1, 2), 12)]
)
def test_the_sizes_of_grids_and_images(shape: tuple[int, ...], ch_mult: tuple[int, ...], side: int) -> None:
    network = nets.VQGAN(shape, 4, 16, 8, ch_mult, 1, (8,), 8).eval()
    x = torch.rand(2, *shape) * 2 - 1
    z = network.encode(x)
    assert z.shape == (2, 4, side, side * shape[2] // shape[1])
    assert network(x).shape == x.shape and network(x).abs().max() <= 1
    part = network.as_generator()
    torch.testing.assert_close(part(z), network.decode(z))
    assert part.decoder is network.decoder
    assert part(torch.randn(1, 4, 3, 5)).shape[2:] == (3 * (1 << len(ch_mult) - 1), 5 * (1 << len(ch_mult) - 1))


def test_what_cannot_be_halved_is_refused() -> None:
    with pytest.raises(RequestError, match=r"28x28 images cannot be halved 3 times.* size=24x24 or size=32x32"):
        nets.VQGAN((1, 28, 28), ch=8, ch_mult=(1, 1, 1, 1))
    with pytest.raises(RequestError, match="VQGAN needs images, not items of shape"):
        nets.VQGAN((2,))


def test_the_prior_draws_codes_as_often_as_they_are_used() -> None:
    network = nets.VQGAN((1, 8, 8), 4, 16, 8, (1, 1), 1, (), 8).eval()
    part = network.as_generator()
    part.quantize.usage[3], part.quantize.usage[5] = 0.75, 0.25
    z = part.prior(100, torch.Generator().manual_seed(0))
    index = part.quantize.nearest(z)
    assert z.shape == (100, 4, 4, 4) and set(index.unique().tolist()) == {3, 5}
    assert (index == 3).float().mean().item() == pytest.approx(0.75, abs=0.05)
    part.quantize.usage.zero_()  # as of published weights
    assert len(part.quantize.nearest(part.prior(100)).unique()) == 16


def test_the_critic_judges_patches() -> None:
    critic = PatchCritic(1, 4, 2)
    assert critic(torch.randn(2, 1, 28, 28)).shape == (2, 5, 5)
    assert PatchCritic(3, 4, 3)(torch.randn(2, 3, 64, 64)).shape == (2, 6, 6)
    assert [p.shape[0] for name, p in PatchCritic(1, 4, 5).named_parameters() if name.endswith("weight")][-2:] == [
        32,
        1,
    ]
    assert critic(torch.randn(2, 1, SMALLEST << 2, SMALLEST << 2)).shape == (2, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert critic(torch.randn(2, 1, 28, 28)).dtype == torch.float32
    x = torch.zeros(1, 1, 96, 96, requires_grad=True)
    critic.eval()(x)[0, 10, 10].backward()  # 34×34 pixels
    assert x.grad is not None
    rows = x.grad[0, 0].abs().sum(1).nonzero()
    assert rows.max() - rows.min() + 1 == 34


# -- the losses --------------------------------------------------------------------------------------------------------


def test_the_adaptive_weight_makes_pulls_alike() -> None:
    last = torch.randn(3, 4, requires_grad=True)
    rec, adv = (last * 3).sum(), (last.square() / 2).sum()
    expected = 3 * math.sqrt(12) / (last.norm().item() + 1e-4)
    assert adaptive_weight(rec, adv, last).item() == pytest.approx(expected, rel=1e-5)
    assert adaptive_weight(rec * 1e9, adv * 1e-9, last) == 1e4


def test_the_loss_is_the_sum_that_it_is_said_to_be() -> None:
    data = open_data("digits", hold_out=0.1)
    o = VQGAN(**{**typed(SMALL), "critic_start": 0})
    torch.manual_seed(0)
    system = recipes.build(o, data, Plan("cpu", "fp32", False))
    network, critic = system.modules["autoencoder"], system.modules["critic"]
    assert isinstance(network, nets.VQGAN)
    batch = data.batch(0, 8)
    torch.manual_seed(1)
    loss, stats = system.phases[0].loss(batch, 0)
    quantized = network.quantize(z := network.outputs(batch.x))  # after its codes were moved
    drawn = network.decoder(network.post_quant_conv(quantized.z))
    l1 = (drawn - batch.x).abs().mean()
    adversarial = -critic(drawn).mean()
    weight = adaptive_weight(l1, adversarial, network.decoder.conv_out.weight)
    expected = l1 + codebook_loss(z, quantized.codes, 0.25).mean() + 0.2 * weight * adversarial
    torch.testing.assert_close(loss, expected)
    assert stats["codebook/revived"] == 16 and stats["autoencoder/perceptual"] == 0

    ours, _ = system.phases[1].loss(batch, 0)
    expected = (1 - critic(batch.x)).relu().mean() + (1 + critic(drawn.detach())).relu().mean()
    torch.testing.assert_close(ours, expected)


def typed(settings: dict[str, object]) -> dict[str, object]:
    """As the dataclass has them: tuples, not text."""
    texts = {name: tuple(map(int, str(v).split(","))) if name == "ch_mult" else v for name, v in settings.items()}
    return texts


def test_the_critic_waits_for_its_step() -> None:
    data = open_data("digits", hold_out=0.1)
    for options, acts in (
        ({"critic_start": 2}, [False, False, True, True]),
        ({"adversarial_weight": 0.0}, [False] * 4),
    ):
        system = recipes.build(VQGAN(**{**typed(SMALL), **options}), data, Plan("cpu", "fp32", False))
        stats = [stats for _, stats in train(system, data, steps=4, batch=4)]
        assert ["critic/loss" in found for found in stats] == acts
        assert ["autoencoder/adaptive_weight" in found for found in stats] == acts


@pytest.mark.parametrize(
    ("size", "grid", "layers"), [(8, 4, 1), (28, 7, 1), (30, 15, 1), (32, 8, 2), (64, 8, 3), (256, 8, 3)]
)
def test_the_levels_suit_the_size(size: int, grid: int, layers: int) -> None:
    o = vqgan.resolve(vqgan.vqgan(), (1, size, size))
    assert size >> (len(o.ch_mult) - 1) == grid
    assert (o.critic_layers, o.critic_start, o.perceptual) == (layers, 1000, "none")


# -- perceptual distances ----------------------------------------------------------------------------------------------


def test_a_classifier_tells_how_far_apart_images_are() -> None:
    data = open_data("digits")
    distance = distances.perceptual("cnn", data, "cpu")
    x = data.batch(0, 4).x.requires_grad_()
    assert distance(x, x).tolist() == [0] * 4
    apart = distance(x, data.batch(1, 4).x)
    apart.sum().backward()
    assert apart.shape == (4,) and x.grad is not None and x.grad.abs().amin(0).max() > 0
    assert apart.mean() > 4 * distance(x, (x + 0.05 * torch.randn_like(x)).clamp(-1, 1)).mean()


def test_distances_that_there_are_not_are_refused() -> None:
    data = open_data("digits")
    with pytest.raises(RequestError, match="unknown perceptual distance 'lpip'; did you mean lpips"):
        distances.perceptual("lpip", data, "cpu")
    with pytest.raises(RequestError, match="the weights of lpips are not on this machine"):
        distances.perceptual("lpips", data, "cpu")
    with pytest.raises(RequestError, match=r"takes images of 1×8×8, not of 3×16×16; choose lpips"):
        distances.perceptual("cnn", open_data("digits", size=16, channels=3), "cpu")


def test_the_distance_is_chosen_by_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    assert [distances.available(device) for device in ("cpu", "cuda")] == ["none", "none"]
    (tmp_path / "lpips.safetensors").touch()
    assert [distances.available(device) for device in ("cpu", "cuda")] == ["none", "lpips"]
    (tmp_path / "lpips-alex.safetensors").touch()
    assert [distances.available(device) for device in ("cpu", "cuda")] == ["lpips-alex", "lpips"]


# -- training ----------------------------------------------------------------------------------------------------------


def run(path: Path, steps: int, data: str = "digits", **options: object) -> ganvas.Run:
    settings = {**SMALL, **options}
    return ganvas.train(
        "vqgan", data, out=path, steps=steps, options=settings, device="cpu", precision="fp32", progress=False
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> ganvas.Run:
    """With a critic for its last steps."""
    return run(
        tmp_path_factory.mktemp("vqgan") / "run",
        120,
        critic_start=110,
        batch=16,
        n_embed=32,
        log_every=20,
        sample_every=60,
    )


def test_it_learns_and_shows(trained: ganvas.Run) -> None:
    log = {line["step"]: line for line in trained.log}
    held = open_data("digits", hold_out=0.1).held_out
    assert held is not None
    x = held.at(torch.arange(len(held))).x
    assert log[120]["held_out/psnr"] > psnr(x.mean(0, keepdim=True).expand_as(x), x).mean() + 1  # than their mean's
    assert log[100]["autoencoder/l1"] < log[20]["autoencoder/l1"] * 0.7
    assert "critic/loss" not in log[100] and log[120]["critic/loss"] > 0
    assert 2 < log[120]["held_out/perplexity"] <= 32 and 0 < log[120]["held_out/codes_used"] <= 1
    with Image.open(trained.pictures[-1]) as picture:
        shown = x[torch.linspace(0, len(x) - 1, 32).long()]
        expected = media.reconstructions(shown, frozen.load_autoencoder(trained.path).reconstruct(shown))
        assert np.array_equal(np.asarray(picture), np.asarray(expected))


def test_a_run_that_diverges_says_so_where_it_is_measured(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="training diverged"):
        run(tmp_path / "run", 9, lr=1e30, log_every=1, sample_every=1)


def test_what_it_leaves_is_what_it_measured(trained: ganvas.Run) -> None:
    autoencoder = frozen.load_autoencoder(trained.path)
    held = open_data("digits", hold_out=0.1).held_out
    assert held is not None
    x = held.at(torch.arange(len(held))).x
    drawn = autoencoder.reconstruct(x)
    assert psnr(drawn, x).mean().item() == pytest.approx(trained.log[-1]["held_out/psnr"], abs=1e-3)
    assert isinstance(autoencoder.network, nets.VQGAN)
    z = autoencoder.encode(x[:3])
    torch.testing.assert_close(z, autoencoder.network.quantize(z).codes)  # every vector is a code

    generator = frozen.load_generator(trained.path)
    torch.testing.assert_close(generator.decode(z), autoencoder.decode(z))
    alone = frozen.load_generator(trained.path / "autoencoder.safetensors")
    torch.testing.assert_close(alone.sample([3, 4]), generator.sample([3, 4]))
    assert generator.sample(range(2), truncation=0.5).shape == (2, 1, 8, 8)
    copied = trained.path / "copy.safetensors"
    autoencoder.write(copied)
    torch.testing.assert_close(frozen.load_autoencoder(copied).reconstruct(x), drawn, rtol=0, atol=0)


def test_images_of_another_size_are_refused(trained: ganvas.Run) -> None:
    with pytest.raises(RequestError, match=r"this 'vqgan' takes images of 1×8×8, not of 1×9×9; resize them first"):
        frozen.load_autoencoder(trained.path).encode(torch.zeros(1, 1, 9, 9))


def test_resuming_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """Through the revival of codes, which draws at random, and over the moment when the critic begins."""

    def outcome(path: Path) -> Sequence[object]:
        newest = checkpoint.steps(path / "checkpoints")[0]
        products = ("autoencoder.safetensors", "generator.safetensors", "samples/step-000030.png")
        inside = [f"{newest.relative_to(path)}/{name}" for name in (checkpoint.MODEL, checkpoint.OPTIMISERS)]
        return [(path / name).read_bytes() for name in (*products, *inside)]

    options = {
        "log_every": 3,
        "sample_every": 15,
        "checkpoint_every": 15,
        "revive": 0.9,
        "accumulate": 2,
        "dropout": 0.1,
        "decay": 30,
    }
    run(tmp_path / "whole", 30, **options)
    run(tmp_path / "parts", 7, **options)
    for steps in (11, 30):
        ganvas.resume(tmp_path / "parts", steps=steps, progress=False)
    assert outcome(tmp_path / "whole") == outcome(tmp_path / "parts")
    revived = [line["codebook/revived"] for line in ganvas.Run(tmp_path / "whole").log]
    assert revived[0] > 0 and sum(revived[5:]) > 0


def test_looking_does_not_change_training(unchanged_by_looking: Callable[[Training, Dataset], None]) -> None:
    options = {**typed(SMALL), "critic_start": 2, "dropout": 0.1, "steps": 5}
    unchanged_by_looking(VQGAN(**options), open_data("digits", hold_out=0.1))


def test_requests_that_cannot_be_met(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="data: VQGAN needs images, not items of shape"):
        run(tmp_path / "a", 1, "ring")
    with pytest.raises(RequestError, match=r"nothing held out to measure on; use held_out=0\.1"):
        run(tmp_path / "a", 1, held_out=0)
    with pytest.raises(RequestError, match=r"size=8x8 or size=12x12"):
        run(tmp_path / "a", 1, ch_mult="1,2,2", size=10)
    with pytest.raises(RequestError, match="objective: 'hnge' is not possible"):
        run(tmp_path / "a", 1, objective="hnge")
    with pytest.raises(
        RequestError, match="critic_layers: a critic with 2 halvings needs images of 12 pixels a side or more, not 8×8"
    ):
        run(tmp_path / "a", 1, critic_layers=2)
    with pytest.raises(RequestError, match="attn_resolutions: no level has height 5; the levels have 8, 4 pixels"):
        run(tmp_path / "a", 1, attn_resolutions="4,5")
    with pytest.raises(RequestError, match="ch_mult: 0,1 is not possible"):
        run(tmp_path / "a", 1, ch_mult="0,1")
    assert not (tmp_path / "a").exists()


# -- the command -------------------------------------------------------------------------------------------------------


def test_reconstruct_a_data_set(trained: ganvas.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.png"
    assert main(["reconstruct", str(trained.path), "digits", "--count", "10", "--out", str(sheet)]) == 0
    said = capsys.readouterr().out
    digits = open_data("digits")
    x = digits.at(torch.linspace(0, len(digits) - 1, 10, dtype=torch.float64).long()).x
    drawn = frozen.load_autoencoder(trained.path).reconstruct(x)
    assert f"10 reconstructions in {sheet}: PSNR {psnr(drawn, x).mean():.2f} dB (" in said
    with Image.open(sheet) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(media.reconstructions(x, drawn)))


def test_reconstruct_pictures(trained: ganvas.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = open_data("digits").at(torch.arange(2)).x
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for file, item in zip(files, x, strict=True):
        media.save_png(media.single(item), file)
    assert main(["reconstruct", str(trained.path), *map(str, files), "--out", str(tmp_path / "out")]) == 0
    drawn = frozen.load_autoencoder(trained.path).reconstruct(x)
    for file, item in zip(files, drawn, strict=True):
        with Image.open(tmp_path / "out" / file.name) as picture:
            assert np.array_equal(np.asarray(picture), np.asarray(media.single(item)))

    taken = [path.read_bytes() for path in files]
    for source in (files[0], tmp_path):  # the picture, or the folder that holds it
        media.save_png(media.single(x[0]), tmp_path / "000000.png")
        assert main(["reconstruct", str(trained.path), str(source), "--out", str(tmp_path)]) == 2
        err = capsys.readouterr().err
        assert err.startswith("ganvas: --out: ") and "would be replaced" in err
    assert [path.read_bytes() for path in files] == taken
    (tmp_path / "other").mkdir()
    twin = str(shutil.copy(files[0], tmp_path / "other"))
    assert main(["reconstruct", str(trained.path), str(files[0]), twin, "--out", str(tmp_path / "twins")]) == 2
    assert "2 of the pictures would be a.png" in capsys.readouterr().err

    for words, reason in (
        (["digits", "mnist"], "name pictures, or one data set"),
        (["nothing.png"], "cannot read nothing.png"),
        (["digits", "--count", "0"], "--count: 0 is too few; give 1 or more"),
    ):
        assert main(["reconstruct", str(trained.path), *words, "--out", str(tmp_path / "s.png")]) == 2
        assert reason in capsys.readouterr().err
    assert main(["reconstruct", str(trained.path), "digits", "--out", "s.gif"]) == 2
    assert "--out: .gif is not written" in capsys.readouterr().err
