"""OpenAI's CLIP in the layouts that it is published in, held to transformers' CLIPModel."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import ganvas
from ganvas.errors import RequestError
from ganvas.frozen import openai
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
        out = theirs(input_ids=clip.reader(TEXTS), pixel_values=(x / 2 + 0.5 - mean) / deviation)
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


def test_it_becomes_a_file_of_ours(folder: Path, theirs: Any, tmp_path: Path) -> None:
    clip = ganvas.load(folder)
    assert isinstance(clip, ganvas.Clip)
    clip.write(tmp_path / "clip.safetensors")
    agree(ganvas.load(tmp_path), theirs)


def test_other_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(RequestError, match="a network that ganvas does not know; of such files it reads CLIP's"):
        ganvas.load(tmp_path / "other.pt")
    (tmp_path / "damaged.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(RequestError, match="is a pickle, and reading one can run code; as weights alone it cannot"):
        ganvas.load(tmp_path / "damaged.pt")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RequestError, match=r"unknown kind of weights file|cannot be read"):
        ganvas.load(tmp_path)

    weights = load_file(folder / "model.safetensors")
    name = "text_model.embeddings.token_embedding.weight"
    save_file(weights | {name: weights[name][:99].clone()}, tmp_path / "model.safetensors")
    with pytest.raises(RequestError, match="whose tokeniser is not OpenAI's"):
        ganvas.load(tmp_path)
    save_file({k: v for k, v in weights.items() if "layer_norm2" not in k}, tmp_path / "model.safetensors")
    with pytest.raises(RequestError, match="layer_norm2"):
        ganvas.load(tmp_path)


def test_the_best_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    with pytest.raises(RequestError, match=r"there is no CLIP on this machine \(looked for ViT-L-14\.pt.*--clip"):
        openai.best()
    for name in ("RN50.pt", "ViT-B-16.pt", "lit.safetensors"):
        (tmp_path / name).write_bytes(b"")
    assert openai.best() == tmp_path / "ViT-B-16.pt"
    downloaded = tmp_path / "home" / ".cache" / "clip" / "ViT-L-14.pt"
    downloaded.parent.mkdir(parents=True)
    downloaded.write_bytes(b"")
    assert openai.best() == downloaded
