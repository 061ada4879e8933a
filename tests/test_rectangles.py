"""Pictures that are not square: every recipe learns and draws them, and every verb takes them as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas import files, frozen, nets, recipes
from ganvas.data import Dataset, open_data, shapes
from ganvas.errors import RequestError
from ganvas.evaluation.findings import unseen
from ganvas.features import Extractor
from ganvas.loop import train
from ganvas.painting.setup import CLIP
from ganvas.plan import Plan
from ganvas.sizes import Size, drawable
from ganvas.types import System

WIDE = Size(32, 24)
SHAPE = (3, 24, 32)
NARROW = {"width": 8, "max_width": 8, "latent": 4, "batch": 8}
FLAT = {"hidden": (8,), "critic_hidden": (8,), "latent": 4, "batch": 8}
DENOISER = {"width": 8, "batch": 4, "sampling_steps": 2}
CODES = {"ch": 4, "z_channels": 4, "embed_dim": 4, "n_embed": 8, "critic_width": 4, "batch": 4, "critic_start": 0}
TOWERS = {"widths": (4, 4), "hidden": 8, "dim": 8, "text_width": 16, "text_layers": 1, "batch": 4}
TINY: dict[str, dict[str, Any]] = {
    "gan": NARROW,
    "mlp": FLAT,
    "mlp-bn": FLAT,
    "mlp-selu": FLAT,
    "mlp-wide": FLAT,
    "dcgan": NARROW,
    "r3gan": NARROW,
    "cgan": NARROW,
    "prompt-gan": NARROW,
    "cnn": {"widths": (4, 4), "batch": 8},
    "clip": TOWERS,
    "clip vit": {**TOWERS, "image_tower": "vit", "image_width": 16, "image_layers": 1},
    "vae": {"width": 4, "max_width": 8, "latent": 4, "batch": 8},
    "diffusion": DENOISER,
    "flow": DENOISER,
    "vqgan": {**CODES, "perceptual": "none"},
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Wide scenes with classes and captions, a part of them held out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "SCENES", 40)
        patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("few")))
        return open_data("shapes", size=str(WIDE), hold_out=0.25)


@pytest.fixture(scope="module")
def folder(scenes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same scenes as PNG files."""
    place = tmp_path_factory.mktemp("pictures") / "scenes"
    place.mkdir()
    for i, item in enumerate(scenes.items):
        Image.fromarray(item.permute(1, 2, 0).numpy()).save(place / f"{i:02d}.png")
    return place


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a GAN that draws wide pictures, at the size that `auto` finds."""
    out = tmp_path_factory.mktemp("runs") / "wide"
    options = {**NARROW, "monitor_every": 1, "held_out": 0.5}
    ganvas.train("gan", folder, out=out, steps=2, device="cpu", precision="fp32", options=options, progress=False)
    return out


def built(name: str, data: Dataset, **options: object) -> System:
    torch.manual_seed(0)
    chosen = recipes.override(recipes.recipe(name.split()[0]), options)
    system = recipes.build(chosen, data, Plan())
    for _ in train(system, data, steps=2, batch=chosen.batch):
        pass
    return system


@pytest.mark.parametrize("name", TINY)
def test_every_recipe_learns_draws_and_reloads_wide_pictures(name: str, scenes: Dataset, tmp_path: Path) -> None:
    system = built(name, scenes, **TINY[name])
    if system.examine is not None:
        system.examine()
    for product, write in system.products.items():
        write(tmp_path / product)
        found = frozen.load(tmp_path / product)
        if isinstance(found, frozen.Autoencoder):
            x = scenes.at(torch.arange(2)).x
            assert found.decode(found.encode(x)).shape == (2, *SHAPE)
        elif isinstance(found, frozen.Clip):
            assert found.shape == SHAPE and found.images(scenes.at(torch.arange(2)).x).shape == (2, 8)
        else:
            assert isinstance(found, frozen.Classifier) and found.shape == SHAPE
    if system.decoder is None:
        return
    model = frozen.copy_generator(system.decoder, name, scenes.class_names, "cpu")
    model.write(tmp_path / "generator.safetensors")
    drawn = model.sample(range(2))
    assert drawn.shape == (2, *SHAPE)
    assert torch.equal(frozen.load_generator(tmp_path / "generator.safetensors").sample(range(2)), drawn)
    assert model.latents([0], truncation=0.7).shape == model.latents([0]).shape


def test_clip_sees_the_ends_of_wide_pictures(scenes: Dataset) -> None:
    network = built("clip", scenes, **TOWERS).modules["clip"].eval()
    assert isinstance(network, nets.Clip)
    x = torch.zeros(1, *SHAPE)
    marked = x.clone()
    marked[..., :3] = 1  # outside of the central square
    assert not torch.allclose(network.image(x), network.image(marked))


@pytest.mark.parametrize("name", ["dcgan", "residual"])
def test_a_network_doubles_a_base_of_its_shape(name: str) -> None:
    generator = nets.GENERATORS[name](shape=(1, 40, 24), latent=2, width=4)
    assert generator(torch.zeros(1, 2)).shape == (1, 1, 40, 24)
    first = generator.basis if isinstance(generator, nets.ResidualGenerator) else generator.layers[0].weight  # type: ignore[union-attr,index]
    assert first.shape[-2:] == (5, 3)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["gan", "dcgan", "r3gan", "cgan"])
def test_what_no_network_draws_is_refused_before_it_is_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"do not draw 50x30 pixels.* size=48x32 or size=52x28") as caught:
        ganvas.train(name, tmp_path / "missing", options={"size": "50x30"}, progress=False)
    assert caught.value.field == "options.size"
    assert {Size(52, 28), Size(48, 32)} <= set(drawable())


def test_arrays_of_an_odd_shape_name_the_sizes_that_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", images=np.zeros((8, 30, 50, 3), np.uint8))
    with pytest.raises(RequestError, match="do not draw 50x30 pixels") as caught:
        ganvas.train("gan", tmp_path / "odd.npz", out=tmp_path / "run", progress=False)
    assert caught.value.field == "options.size" and not (tmp_path / "run").exists()
    with pytest.raises(RequestError, match=r"51x31 images cannot be halved once .* size=50x30 or size=52x32") as caught:
        ganvas.train("vqgan", tmp_path / "odd.npz", options={"size": "51x31"}, progress=False)
    assert caught.value.field == "options.size"


@pytest.mark.parametrize(("size", "found"), [((320, 448), (40, 56)), ((178, 218), (40, 48))])
def test_auto_keeps_the_common_shape(size: tuple[int, int], found: tuple[int, int], tmp_path: Path) -> None:
    for i in range(2):
        Image.new("RGB", size, (80 * i, 0, 0)).save(tmp_path / f"{i}.png")
    data = open_data(str(tmp_path))
    width, height = data.shape[2], data.shape[1]
    assert Size(width, height) in drawable()
    assert width / height == pytest.approx(size[0] / size[1], rel=0.03)


# -- verbs -------------------------------------------------------------------------------------------------------------


def test_a_run_has_the_shape_of_its_pictures(run: Path) -> None:
    assert files.read_json(run / files.RECORD, dict[str, Any])["data"]["shape"] == list(SHAPE)
    assert ganvas.sample(run, seeds="0-3", progress=False).images.shape == (4, *SHAPE)
    assert "monitor" in (run / files.RECORD).read_text() and (run / "report.html").exists()


def test_latents_are_walked_bred_edited_and_found(run: Path, folder: Path, tmp_path: Path) -> None:
    quiet: dict[str, Any] = {"progress": False}
    walked = ganvas.walk(run, seeds="0,1", seconds=0.2, fps=10, out=tmp_path / "frames", **quiet)
    assert walked is not None
    with Image.open(next((tmp_path / "frames").glob("*.png"))) as frame:
        assert frame.width * WIDE.height == frame.height * WIDE.width
    found = ganvas.directions(run, out=tmp_path / "d.npz", **quiet)
    assert found is not None
    ganvas.edit(run, seed=1, direction=f"{tmp_path / 'd.npz'}:0", out=tmp_path / "strip.png", **quiet)
    ganvas.breed(run, parents="0,1", children=2, out=tmp_path / "litter", **quiet)
    small: dict[str, Any] = {"starts": 4, "keep": 1, "steps": 2, "polish": 1, "compare": 1}
    projected = ganvas.project(run, folder / "00.png", **small, **quiet)
    assert projected.images.shape == (1, *SHAPE)


def test_pictures_are_measured_reported_and_exported(run: Path, tmp_path: Path) -> None:
    evaluation = ganvas.evaluate(run, samples=20, metrics=["fid", "copies"], progress=False)
    assert evaluation.neighbours is not None
    ganvas.export(run, out=tmp_path / "g.pt2", progress=False)
    program = torch.export.load(tmp_path / "g.pt2").module()
    assert program(torch.zeros(2, 4)).shape == (2, *SHAPE)


def test_a_painting_is_wide(run: Path) -> None:
    small: dict[str, Any] = {"steps": 1, "best_of": 2, "generations": 0, "crops": 2, "whole": 0.5}
    painted = ganvas.paint("a red circle", generator=run, clip=CLIP, **small, progress=False)
    assert painted.images.shape == (1, *SHAPE)


def test_autoencoders_classifiers_and_towers_take_wide_pictures(scenes: Dataset, folder: Path, tmp_path: Path) -> None:
    system = built("vae", scenes, **TINY["vae"])
    system.products[files.AUTOENCODER](tmp_path / files.AUTOENCODER)
    found = ganvas.reconstruct(tmp_path / files.AUTOENCODER, folder / "00.png", progress=False)
    assert found.images.shape == (1, *SHAPE)
    system = built("clip", scenes, **TOWERS)
    system.products[files.CLIP](tmp_path / files.CLIP)
    named = ganvas.classify(folder / "00.png", labels="a circle,a star", clip=tmp_path / files.CLIP, progress=False)
    assert named.probabilities.shape == (1, 2)
    matches = ganvas.search("a circle", folder, clip=tmp_path / files.CLIP, top=2, progress=False)
    assert matches.shape[1:] == (96, 128)


# -- scenes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [Size(48, 64), Size(128, 32)])
def test_scenes_fill_any_shape_and_their_captions_hold(size: Size) -> None:
    frame, rng, far = (size.width / size.short, size.height / size.short), np.random.default_rng(0), 0.0
    for _ in range(40):
        drawn = shapes.scene(rng, frame=frame)
        picture = shapes.draw(drawn, size).transpose(1, 2, 0)
        assert picture.shape == (size.height, size.width, 3)
        for it in drawn:
            at = int(it.y * size.short), int(it.x * size.short)
            assert tuple(picture[at]) == shapes.COLORS[it.color]
            reach = shapes.REACH * it.radius
            assert reach < it.x < frame[0] - reach and reach < it.y < frame[1] - reach  # nothing is cut off
            far = max(far, it.x, it.y)
        table = shapes.tabulate([drawn])
        said = [shapes.RELATIONS[i] for i in table["relation"][0] if i >= 0]
        assert all(word in shapes.describe(drawn) for word in said)
    assert far > 1  # the long side is used


def test_scenes_of_squares_are_what_they_were() -> None:
    rng = np.random.default_rng(0)
    first = shapes.scene(rng)
    assert (
        shapes.describe(first) == "a small green triangle below a small orange heart and right of a small blue square"
    )
    assert (first[0].x, first[0].y, first[0].radius) == (0.6835161185330514, 0.7866255536371034, 0.10864119373226756)


# -- figures -----------------------------------------------------------------------------------------------------------


def test_features_that_see_only_the_middle_say_so() -> None:
    eye = Extractor("dino", "", 3, "", lambda x: x.mean((2, 3)), crops=True)
    (warning,) = unseen(eye, (3, 48, 64))
    assert "the ends, 25% of it" in warning
    assert not unseen(eye, (3, 64, 64)) and not unseen(replace(eye, crops=False), (3, 48, 64))
