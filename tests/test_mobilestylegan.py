"""MobileStyleGAN's generator, and the graphs of OpenVINO that a published one comes in."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor

import ganvas
from ganvas import latent, nets
from ganvas.data import known
from ganvas.errors import RequestError
from ganvas.frozen import TrainedGenerator, openvino
from ganvas.nets.mobilestylegan import inverse_haar

WIDTHS = (8, 8, 4)  # 32×32 images
NAMES = {"narrow": "conv1", "wide": "conv2"}


@pytest.fixture
def network() -> nets.MobileStyleGANGenerator:
    torch.manual_seed(0)
    made = nets.MobileStyleGANGenerator((3, 32, 32), 6, WIDTHS, mapping=2)
    for name, buffer in made.named_buffers():
        buffer.normal_(0, 0.1)
        assert name == "mean" or name.endswith("noise")
    return made.eval().requires_grad_(False)


class Graph:
    """Constants as the exporter leaves them: named where the author named them, in the order of their use."""

    def __init__(self) -> None:
        self.root = ElementTree.Element("net")
        self.layers = ElementTree.SubElement(self.root, "layers")
        self.data = b""

    def add(self, name: str, value: Tensor, kind: str = "f32") -> None:
        layer = ElementTree.SubElement(self.layers, "layer", name=name, type="Const")
        raw = value.numpy().tobytes()
        ElementTree.SubElement(layer, "data", element_type=kind, offset=str(len(self.data)), size=str(len(raw)))
        port = ElementTree.SubElement(ElementTree.SubElement(layer, "output"), "port")
        for side in value.shape:
            ElementTree.SubElement(port, "dim").text = str(side)
        self.data += raw

    def write(self, path: Path) -> None:
        path.write_bytes(ElementTree.tostring(self.root))
        path.with_suffix(".bin").write_bytes(self.data)


def exported(folder: Path, network: nets.MobileStyleGANGenerator) -> Path:
    """The two graphs of a network; the factors of its styles are beside them, as in the published ones."""
    folder.mkdir()
    graph, weights = Graph(), network.state_dict()
    styles = ["m.conv1.conv"]
    for i in range(len(WIDTHS) - 1):
        styles += [f"m.layers.{i}.{name}" for name in ("up", "conv1.conv", "conv2.conv")]
    styles.append(f"m.layers.{len(WIDTHS) - 2}.to_img.conv")
    parts = zip(weights["styles.weight"].split(network.sizes), weights["styles.bias"].split(network.sizes), strict=True)
    for name, (weight, bias) in reversed(list(zip(styles, parts, strict=True))):
        graph.add(f"{name}.modulation.weight", weight)
        graph.add(f"{name}.modulation.bias", bias[None])
        graph.add("shape", torch.tensor([1, -1]), "i64")
        if not name.endswith("up"):
            graph.add("factor", torch.full((1, 1, 1, 1), 0.5))
    graph.add("m.input.input", weights["input"][None])
    graph.add("Mul_1", 2 * weights["first.convolutions.0.weight"])
    graph.add("noise", weights["first.noise"][None, None])
    graph.add("m.conv1.bias", weights["first.convolutions.0.bias"][None, :, None, None])
    for i in range(len(WIDTHS) - 1):
        for ours, theirs in NAMES.items():
            name = f"{ours}.{i}.convolutions"
            graph.add(f"m.layers.{i}.{theirs}.conv.weight_dw", 2 * weights[f"{name}.0.weight"][:, None])
            graph.add("Mul", weights[f"{name}.1.weight"])
            graph.add("noise", weights[f"{ours}.{i}.noise"][None, None])
            graph.add(f"m.layers.{i}.{theirs}.bias", weights[f"{name}.1.bias"][None, :, None, None])
    graph.add(f"m.layers.{i}.to_img.conv.weight", 2 * weights["to_bands.weight"])
    graph.add(f"m.layers.{i}.to_img.bias", weights["to_bands.bias"][None, :, None, None])
    graph.write(folder / openvino.SYNTHESIS)
    graph = Graph()
    graph.add("one", torch.ones(1, 1))
    for layer in range(2):
        graph.add("MatMul", weights[f"mapping.{layer}.weight"])
        graph.add("bias", weights[f"mapping.{layer}.bias"])
        graph.add("leak", torch.tensor([0.2]))
    graph.write(folder / openvino.MAPPING)
    return folder


def test_the_inverse_haar_transform_gives_the_image_back() -> None:
    x = torch.randn(2, 3, 8, 8)
    a, b, c, d = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
    low, down, across, both = (a + b + c + d) / 2, (a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2
    bands = torch.cat([low, torch.stack([down, across, both], 2).flatten(1, 2)], 1)
    torch.testing.assert_close(inverse_haar(bands), x)


def test_latents_lie_around_the_mean_of_w(network: nets.MobileStyleGANGenerator) -> None:
    w = latent.from_seeds(network, [3])
    z = torch.randn(1, 6, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(w, network.map(z) - network.mean)
    torch.testing.assert_close(network.map(5 * z), network.map(z))
    middle = TrainedGenerator(network, "test").sample([1, 2], truncation=0.0)
    torch.testing.assert_close(middle[0], middle[1])


def test_all_styles_are_one_affine_layer(network: nets.MobileStyleGANGenerator) -> None:
    a = latent.directions.first_affine(network, network.prior(2))
    torch.testing.assert_close(a, network.styles.weight.double())
    with pytest.raises(RequestError, match="3 widths give 32 pixels a side, not 64×64"):
        nets.MobileStyleGANGenerator((3, 64, 64), 6, WIDTHS)


def test_graphs_of_openvino_are_read(network: nets.MobileStyleGANGenerator, tmp_path: Path) -> None:
    loaded = ganvas.load(exported(tmp_path / "graphs", network))
    assert isinstance(loaded, TrainedGenerator) and isinstance(loaded.decoder, nets.MobileStyleGANGenerator)
    z = torch.randn(3, 6)
    torch.testing.assert_close(loaded.decoder.map(z), network.map(z))
    w = network.map(z)
    torch.testing.assert_close(loaded.decoder(w - loaded.decoder.mean), network(w - network.mean))
    many = network.map(torch.randn(20_000, 6))
    assert (loaded.decoder.mean - many.mean(0)).abs().max() < 0.05 * many.std()
    loaded.write(tmp_path / "faces.safetensors")
    again = ganvas.load(tmp_path / "faces.safetensors")
    assert isinstance(again, TrainedGenerator)
    assert torch.equal(again.sample([0]), loaded.sample([0]))


def test_other_graphs_are_refused(network: nets.MobileStyleGANGenerator, tmp_path: Path) -> None:
    folder = exported(tmp_path / "graphs", network)
    text = (folder / openvino.SYNTHESIS).read_text()
    (folder / openvino.SYNTHESIS).write_text(text.replace("m.input.input", "input"))
    with pytest.raises(RequestError, match=r"not a graph that ganvas knows .*m\.input\.input"):
        ganvas.load(folder)
    (folder / openvino.SYNTHESIS).write_text(text[:-9])
    with pytest.raises(RequestError, match="is not a readable graph of OpenVINO"):
        ganvas.load(folder)
    (folder / openvino.SYNTHESIS).write_text(text)
    (folder / openvino.MAPPING).with_suffix(".bin").unlink()
    with pytest.raises(RequestError, match="is not a readable graph"):
        ganvas.load(folder)


@pytest.mark.parametrize(("side", "batch"), [(28, 64), (128, 64), (256, 16), (1024, 1), (2048, 1)])
def test_large_images_are_drawn_a_few_at_a_time(side: int, batch: int) -> None:
    assert TrainedGenerator(nets.MLPGenerator((1, side, side), 1, (1,)), "mlp").batch == batch


@pytest.mark.assets
def test_the_published_one_draws_faces() -> None:
    places = [root / "random_face/random_face/data" for root in known.roots()]
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        pytest.skip("MobileStyleGAN of faces is not on this machine")
    faces = ganvas.load(folder)
    assert isinstance(faces, TrainedGenerator)
    x = faces.sample([1], truncation=0.7)
    assert x.shape == (1, 3, 1024, 1024)
    skin = x[0, :, 400:700, 400:700].mean((1, 2))
    assert skin[0] > skin[1] > skin[2]  # what is in the middle is skin: more red than green than blue
