"""OpenAI's CLIP in the layouts that it is published in, held to transformers' CLIPModel."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

import ganvas
from ganvas.errors import RequestError
from ganvas.frozen import openai
from ganvas.nets.resnet import ClipResNet
from ganvas.nets.tower import CLIP

TEXTS = ["a photo of a cat", "hello world! it's", "x", ""]


@pytest.fixture(scope="module")
def theirs() -> Any:
    """transformers' CLIPModel at a small size, with random weights; heads of 64 channels, as OpenAI's."""
    transformers = pytest.importorskip("transformers")
    text = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 1}
    text |= {"max_position_embeddings": 24, "vocab_size": 49408, "bos_token_id": 49406, "eos_token_id": 49407}
    vision = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 2}
    vision |= {"image_size": 32, "patch_size": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    torch.manual_seed(0)
    model = transformers.CLIPModel(config).eval().requires_grad_(False)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.1)
    return model


@pytest.fixture(scope="module")
def folder(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("transformers")
    theirs.save_pretrained(path)
    return path


def agree(clip: object, theirs: Any) -> None:
    assert isinstance(clip, ganvas.Clip)
    torch.manual_seed(1)
    x = torch.rand(3, 3, 32, 32) * 2 - 1
    mean, deviation = torch.tensor(CLIP)[:, :, None, None]
    with torch.no_grad():
        out = theirs(input_ids=clip.tokenizer(TEXTS), pixel_values=(x / 2 + 0.5 - mean) / deviation)
        image, text = clip.image(x), clip.text(TEXTS)
        logits = clip.network.logits(image, text)
    assert out.text_embeds.std(0).max() > 0.01  # texts differ
    torch.testing.assert_close(image, out.image_embeds, atol=1e-5, rtol=0)
    torch.testing.assert_close(text, out.text_embeds, atol=1e-5, rtol=0)
    torch.testing.assert_close(logits, out.logits_per_image, atol=1e-4, rtol=0)


def as_openai(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers' weights under the names of OpenAI's own layout."""
    found: dict[str, Tensor] = {"logit_scale": theirs["logit_scale"]}
    for tower, ours in (("vision_model.", "visual."), ("text_model.", "")):
        inner = f"{tower}encoder.layers."
        for name in theirs:
            if name.startswith(f"{inner}") and name.endswith("k_proj.weight"):
                i = name.removeprefix(inner).split(".")[0]
                for part in ("weight", "bias"):
                    block = f"{ours}transformer.resblocks.{i}."
                    qkv = [theirs[f"{inner}{i}.self_attn.{kind}_proj.{part}"] for kind in "qkv"]
                    found[f"{block}attn.in_proj_{part}"] = torch.cat(qkv)
                    for a, b in (
                        ("attn.out_proj", "self_attn.out_proj"),
                        ("ln_1", "layer_norm1"),
                        ("ln_2", "layer_norm2"),
                        ("mlp.c_fc", "mlp.fc1"),
                        ("mlp.c_proj", "mlp.fc2"),
                    ):
                        found[f"{block}{a}.{part}"] = theirs[f"{inner}{i}.{b}.{part}"]
    for part in ("weight", "bias"):
        found[f"ln_final.{part}"] = theirs[f"text_model.final_layer_norm.{part}"]
        found[f"visual.ln_pre.{part}"] = theirs[f"vision_model.pre_layrnorm.{part}"]
        found[f"visual.ln_post.{part}"] = theirs[f"vision_model.post_layernorm.{part}"]
    vision, text = "vision_model.embeddings.", "text_model.embeddings."
    return found | {
        "visual.conv1.weight": theirs[f"{vision}patch_embedding.weight"],
        "visual.class_embedding": theirs[f"{vision}class_embedding"],
        "visual.positional_embedding": theirs[f"{vision}position_embedding.weight"],
        "visual.proj": theirs["visual_projection.weight"].T.contiguous(),
        "token_embedding.weight": theirs[f"{text}token_embedding.weight"],
        "positional_embedding": theirs[f"{text}position_embedding.weight"],
        "text_projection": theirs["text_projection.weight"].T.contiguous(),
    }


class Node(nn.Module):
    """A module whose parameters have the names of a state dict."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        inner: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            first, _, rest = name.partition(".")
            if rest:
                inner.setdefault(first, {})[rest] = tensor
            else:
                self.register_parameter(first, nn.Parameter(tensor, requires_grad=False))
        for name, below in inner.items():
            self.add_module(name, Node(below))

    def forward(self, x: Tensor) -> Tensor:
        return x


def archive(tensors: dict[str, Tensor], path: Path) -> None:
    """A TorchScript archive of these tensors, as OpenAI publishes them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(Node(tensors), torch.zeros(1)).save(str(path))


def test_a_folder_of_transformers(folder: Path, theirs: Any) -> None:
    agree(ganvas.load(folder), theirs)


def test_openais_layout(theirs: Any, tmp_path: Path) -> None:
    tensors = as_openai(theirs.state_dict())
    torch.save(tensors, tmp_path / "state.pt")
    agree(ganvas.load(tmp_path / "state.pt"), theirs)
    archive(tensors, tmp_path / "ViT-B-32.pt")
    agree(ganvas.load(tmp_path / "ViT-B-32.pt"), theirs)


# -- the residual network ----------------------------------------------------------------------------------------------

LAYERS, WIDTH = (2, 1, 1, 1), 8


def resnet() -> dict[str, Tensor]:
    """Random weights in the layout of OpenAI's RN50, in small: images of 64 pixels, 256 channels at the end."""
    found: dict[str, Tensor] = {}

    def convolution(conv: str, bn: str, inputs: int, outputs: int, kernel: int) -> None:
        found[f"visual.{conv}.weight"] = torch.randn(outputs, inputs, kernel, kernel) * (inputs * kernel**2) ** -0.5
        found[f"visual.{bn}.weight"], found[f"visual.{bn}.bias"] = torch.rand(outputs) + 0.5, torch.randn(outputs) / 5
        found[f"visual.{bn}.running_mean"] = torch.randn(outputs) / 5
        found[f"visual.{bn}.running_var"] = torch.rand(outputs) + 0.5
        found[f"visual.{bn}.num_batches_tracked"] = torch.tensor(7)

    torch.manual_seed(0)
    for i, (inputs, outputs) in enumerate([(3, WIDTH // 2), (WIDTH // 2, WIDTH // 2), (WIDTH // 2, WIDTH)], 1):
        convolution(f"conv{i}", f"bn{i}", inputs, outputs, 3)
    inputs = WIDTH
    for stage, count in enumerate(LAYERS):
        middle = WIDTH << stage
        for block in range(count):
            name = f"layer{stage + 1}.{block}"
            convolution(f"{name}.conv1", f"{name}.bn1", inputs, middle, 1)
            convolution(f"{name}.conv2", f"{name}.bn2", middle, middle, 3)
            convolution(f"{name}.conv3", f"{name}.bn3", middle, 4 * middle, 1)
            if block == 0:
                convolution(f"{name}.downsample.0", f"{name}.downsample.1", inputs, 4 * middle, 1)
            inputs = 4 * middle
    for kind, outputs in (("q", inputs), ("k", inputs), ("v", inputs), ("c", 24)):
        found[f"visual.attnpool.{kind}_proj.weight"] = torch.randn(outputs, inputs) * inputs**-0.5
        found[f"visual.attnpool.{kind}_proj.bias"] = torch.randn(outputs) / 5
    found["visual.attnpool.positional_embedding"] = torch.randn(5, inputs) / 5
    return found


def published_forward(w: dict[str, Tensor], x: Tensor) -> Tensor:
    """The residual tower as the paper's code computes it, from its own names: normalised images -> embeddings."""

    def layer(x: Tensor, conv: str, bn: str, stride: int = 1) -> Tensor:
        kernel = w[f"visual.{conv}.weight"]
        x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        norm = [w[f"visual.{bn}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *norm)

    for i, stride in ((1, 2), (2, 1), (3, 1)):
        x = layer(x, f"conv{i}", f"bn{i}", stride).relu()
    x = F.avg_pool2d(x, 2)
    for stage, count in enumerate(LAYERS, 1):
        for block in range(count):
            name, pool = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = layer(x, f"{name}.conv1", f"{name}.bn1").relu()
            y = F.avg_pool2d(layer(y, f"{name}.conv2", f"{name}.bn2").relu(), pool)
            y = layer(y, f"{name}.conv3", f"{name}.bn3")
            if block == 0:
                x = layer(F.avg_pool2d(x, pool), f"{name}.downsample.0", f"{name}.downsample.1")
            x = (x + y).relu()
    tokens = x.flatten(2).permute(2, 0, 1)
    tokens = torch.cat([tokens.mean(0, keepdim=True), tokens]) + w["visual.attnpool.positional_embedding"][:, None]
    proj = {kind: w[f"visual.attnpool.{kind}_proj.weight"] for kind in "qkvc"}
    bias = {kind: w[f"visual.attnpool.{kind}_proj.bias"] for kind in "qkvc"}
    width = tokens.shape[2]
    pooled, _ = F.multi_head_attention_forward(
        *(tokens[:1], tokens, tokens, width, width // 64, None, torch.cat([bias[kind] for kind in "qkv"])),
        *(None, None, False, 0.0, proj["c"], bias["c"]),
        **{"use_separate_proj_weight": True, "training": False, "need_weights": False},
        **{"q_proj_weight": proj["q"], "k_proj_weight": proj["k"], "v_proj_weight": proj["v"]},
    )
    return pooled[0]


def test_openais_residual_network(theirs: Any, tmp_path: Path) -> None:
    words = {k: v for k, v in as_openai(theirs.state_dict()).items() if not k.startswith("visual.")}
    tensors = words | resnet()
    torch.save(tensors, tmp_path / "RN50.pt")
    clip = ganvas.load(tmp_path / "RN50.pt")
    assert isinstance(clip, ganvas.Clip)
    assert clip.size == 64
    torch.manual_seed(1)
    x = torch.rand(3, 3, 64, 64) * torch.rand(3, 3, 1, 1) * 2 - 1  # of different colours
    mean, deviation = torch.tensor(CLIP)[:, :, None, None]
    expected = published_forward(tensors, (x / 2 + 0.5 - mean) / deviation)
    assert F.normalize(expected, dim=1).std(0).max() > 0.01  # images differ
    torch.testing.assert_close(clip.image(x), F.normalize(expected, dim=1), atol=1e-5, rtol=0)
    with torch.no_grad():
        out = theirs.get_text_features(input_ids=clip.tokenizer(TEXTS))
    embeds = getattr(out, "pooler_output", out)
    torch.testing.assert_close(clip.text(TEXTS), F.normalize(embeds, dim=1), atol=1e-5, rtol=0)
    clip.write(tmp_path / "clip.safetensors")
    torch.testing.assert_close(ganvas.load(tmp_path).images(x), clip.images(x))


def test_rn50_has_the_published_size() -> None:
    """38.3 million parameters in RN50's image tower, and 224 pixels."""
    with torch.device("meta"):
        network = ClipResNet()
    assert sum(p.numel() for p in network.parameters()) == 38_316_896
    with pytest.raises(RequestError, match="a multiple of 32 pixels a side, not 100"):
        ClipResNet(100)


# -- files -------------------------------------------------------------------------------------------------------------


def test_it_becomes_a_file_of_ours(folder: Path, theirs: Any, tmp_path: Path) -> None:
    clip = ganvas.load(folder)
    assert isinstance(clip, ganvas.Clip)
    clip.write(tmp_path / "clip.safetensors")
    agree(ganvas.load(tmp_path), theirs)


def test_other_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(RequestError, match="a network that ganvas does not know; give weights of a CLIP"):
        ganvas.load(tmp_path / "other.pt")
    (tmp_path / "damaged.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(RequestError, match="is a pickle, and reading one can run code; as weights alone it cannot"):
        ganvas.load(tmp_path / "damaged.pt")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RequestError, match=r"holds no weights; put model\.safetensors or pytorch_model\.bin"):
        ganvas.load(tmp_path)

    weights = load_file(folder / "model.safetensors")
    name = "text_model.embeddings.token_embedding.weight"
    save_file(weights | {name: weights[name][:99].clone()}, tmp_path / "model.safetensors")
    with pytest.raises(RequestError, match=r"the tokeniser of .* is not OpenAI's"):
        ganvas.load(tmp_path)
    save_file({k: v for k, v in weights.items() if "layer_norm2" not in k}, tmp_path / "model.safetensors")
    with pytest.raises(RequestError, match="layer_norm2"):
        ganvas.load(tmp_path)


def test_the_best_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    with pytest.raises(RequestError, match=r"clip: there is none on .* \(looked for ViT-L-14\.pt.*ganvas train clip"):
        openai.best()
    for name in ("RN50.pt", "ViT-B-16.pt", "lit.safetensors"):
        (tmp_path / name).write_bytes(b"")
    assert openai.best() == tmp_path / "ViT-B-16.pt"
    downloaded = tmp_path / "home" / ".cache" / "clip" / "ViT-L-14.pt"
    downloaded.parent.mkdir(parents=True)
    downloaded.write_bytes(b"")
    assert openai.best() == downloaded
