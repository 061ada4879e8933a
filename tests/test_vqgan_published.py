"""VQGANs that others published: CompVis's checkpoints and diffusers' folders, which load by name and agree."""

from __future__ import annotations

import json
import os
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor
from torch.nn import functional as F

import ganvas
from ganvas import frozen, nets
from ganvas.cli import main
from ganvas.errors import RequestError

DDCONFIG = {
    **{"double_z": False, "z_channels": 8, "resolution": 16, "in_channels": 3, "out_ch": 3, "ch": 32},
    **{"ch_mult": [1, 1, 2], "num_res_blocks": 1, "attn_resolutions": [8], "dropout": 0.0},
}
CODES, DIM = 10, 6


def conv(name: str, outputs: int, inputs: int, side: int = 3) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs, side, side), f"{name}.bias": (outputs,)}


def norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def block(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    found = norm(f"{name}.norm1", inputs) | conv(f"{name}.conv1", outputs, inputs)
    found |= norm(f"{name}.norm2", outputs) | conv(f"{name}.conv2", outputs, outputs)
    return found | (conv(f"{name}.nin_shortcut", outputs, inputs, 1) if inputs != outputs else {})


def attention(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    found = norm(f"{name}.norm", channels)
    for part in ("q", "k", "v", "proj_out"):
        found |= conv(f"{name}.{part}", channels, channels, 1)
    return found


def middle(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    found = block(f"{name}.block_1", channels, channels) | attention(f"{name}.attn_1", channels)
    return found | block(f"{name}.block_2", channels, channels)


def published() -> dict[str, tuple[int, ...]]:
    """The names and shapes that taming-transformers gives the parameters of DDCONFIG's VQModel, written out.

    Levels of 32, 32 and 64 channels at 16, 8 and 4 pixels, with attention at 8.
    """
    found = conv("encoder.conv_in", 32, 3)
    found |= block("encoder.down.0.block.0", 32, 32) | conv("encoder.down.0.downsample.conv", 32, 32)
    found |= block("encoder.down.1.block.0", 32, 32) | attention("encoder.down.1.attn.0", 32)
    found |= conv("encoder.down.1.downsample.conv", 32, 32)
    found |= block("encoder.down.2.block.0", 32, 64)
    found |= middle("encoder.mid", 64) | norm("encoder.norm_out", 64) | conv("encoder.conv_out", 8, 64)
    found |= conv("decoder.conv_in", 64, 8) | middle("decoder.mid", 64)
    found |= block("decoder.up.2.block.0", 64, 64) | block("decoder.up.2.block.1", 64, 64)
    found |= conv("decoder.up.2.upsample.conv", 64, 64)
    found |= block("decoder.up.1.block.0", 64, 32) | block("decoder.up.1.block.1", 32, 32)
    found |= attention("decoder.up.1.attn.0", 32) | attention("decoder.up.1.attn.1", 32)
    found |= conv("decoder.up.1.upsample.conv", 32, 32)
    found |= block("decoder.up.0.block.0", 32, 32) | block("decoder.up.0.block.1", 32, 32)
    found |= norm("decoder.norm_out", 32) | conv("decoder.conv_out", 3, 32)
    found |= {"quantize.embedding.weight": (CODES, DIM)}
    return found | conv("quant_conv", DIM, 8, 1) | conv("post_quant_conv", 8, DIM, 1)


def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    drawn = {name: torch.randn(shape, generator=generator) * 0.1 for name, shape in published().items()}
    return {name: t + 1 if "norm" in name and name.endswith("weight") else t for name, t in drawn.items()}


# -- the paper's computation, from the published names alone -----------------------------------------------------------


def swish(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    x = F.group_norm(x, 32, w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)
    return x * torch.sigmoid(x)


def convolve(w: dict[str, Tensor], name: str, x: Tensor, stride: int = 1) -> Tensor:
    kernel = w[f"{name}.weight"]
    padding = 0 if stride == 2 else kernel.shape[-1] // 2
    return F.conv2d(x, kernel, w[f"{name}.bias"], stride, padding)


def through(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    h = convolve(w, f"{name}.conv1", swish(w, f"{name}.norm1", x))
    h = convolve(w, f"{name}.conv2", swish(w, f"{name}.norm2", h))
    return h + (convolve(w, f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in w else x)


def attend(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    h = F.group_norm(x, 32, w[f"{name}.norm.weight"], w[f"{name}.norm.bias"], 1e-6)
    q, k, v = (convolve(w, f"{name}.{part}", h).flatten(2) for part in "qkv")  # (N, C, HW)
    share = torch.softmax(torch.einsum("ncq,nck->nqk", q, k) * x.shape[1] ** -0.5, 2)
    return x + convolve(w, f"{name}.proj_out", torch.einsum("nqk,nck->ncq", share, v).reshape(x.shape))


def mid(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return through(w, f"{name}.block_2", attend(w, f"{name}.attn_1", through(w, f"{name}.block_1", x)))


def reference(w: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """(what is quantised, what is drawn from the codes)."""
    h = convolve(w, "encoder.conv_in", x)
    for level in range(3):
        h = through(w, f"encoder.down.{level}.block.0", h)
        h = attend(w, "encoder.down.1.attn.0", h) if level == 1 else h
        if level < 2:
            h = convolve(w, f"encoder.down.{level}.downsample.conv", F.pad(h, (0, 1, 0, 1)), 2)
    h = convolve(w, "encoder.conv_out", swish(w, "encoder.norm_out", mid(w, "encoder.mid", h)))
    z = convolve(w, "quant_conv", h)
    codes = w["quantize.embedding.weight"]
    index = (z[:, None] - codes[None, :, :, None, None]).square().sum(2).argmin(1)
    h = mid(
        w, "decoder.mid", convolve(w, "decoder.conv_in", convolve(w, "post_quant_conv", codes[index].movedim(3, 1)))
    )
    for level in (2, 1, 0):
        for i in range(2):
            h = through(w, f"decoder.up.{level}.block.{i}", h)
            h = attend(w, f"decoder.up.1.attn.{i}", h) if level == 1 else h
        if level:
            h = convolve(w, f"decoder.up.{level}.upsample.conv", h.repeat_interleave(2, 2).repeat_interleave(2, 3))
    return z, convolve(w, "decoder.conv_out", swish(w, "decoder.norm_out", h))


# -- CompVis -----------------------------------------------------------------------------------------------------------


def described(target: str = "taming.models.vqgan.VQModel", **changes: Any) -> dict[str, Any]:
    params = {"embed_dim": DIM, "n_embed": CODES, "ddconfig": {**DDCONFIG, **changes}, "lossconfig": {"target": "x"}}
    return {"model": {"base_learning_rate": 4.5e-6, "target": target, "params": params}, "data": {"target": "y"}}


def save(folder: Path, state: dict[str, Tensor], config: dict[str, Any], name: str = "vqgan_f4") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    loss = {
        "loss.discriminator.main.0.weight": torch.zeros(1),
        "loss.perceptual_loss.lin0.model.1.weight": torch.zeros(1),
    }
    content = {"epoch": 3, "global_step": 9, "state_dict": OrderedDict({**state, **loss}), "optimizer_states": []}
    torch.save(content, folder / f"{name}.ckpt")
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return folder / f"{name}.ckpt"


def test_the_names_and_shapes_are_the_published_ones() -> None:
    network = nets.VQGAN((3, 16, 16), DIM, CODES, 32, (1, 1, 2), 1, (8,), 8)
    ours = {name: tuple(p.shape) for name, p in network.named_parameters()}
    assert ours == published()


def test_the_size_of_the_imagenet_model() -> None:
    """vqgan_imagenet_f16_16384: what its state dict holds of the network, counted by hand from the ddconfig."""
    with torch.device("meta"):
        network = nets.VQGAN((3, 256, 256), n_embed=16384)
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    assert shapes["quantize.embedding.weight"] == (16384, 256)
    assert shapes["encoder.down.4.attn.1.q.weight"] == (512, 512, 1, 1)
    assert shapes["decoder.up.4.attn.2.proj_out.weight"] == (512, 512, 1, 1)
    assert shapes["encoder.conv_out.weight"] == (256, 512, 3, 3)
    assert shapes["decoder.up.3.block.0.nin_shortcut.weight"] == (256, 512, 1, 1)
    assert not [name for name in shapes if name.startswith("encoder.down.3.attn")]
    assert frozen.Autoencoder(network, "vqgan").batch == 16  # 2 GiB of features at a time would be too much


@pytest.mark.parametrize("given", ["file", "folder"])
def test_a_checkpoint_of_compvis_agrees_with_the_paper(given: str, tmp_path: Path) -> None:
    state = weights()
    file = save(tmp_path, state, described())
    loaded = ganvas.load(file if given == "file" else tmp_path)
    assert isinstance(loaded, frozen.Autoencoder) and isinstance(loaded.network, nets.VQGAN)
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    z, drawn = reference(state, x)
    torch.testing.assert_close(loaded.network.outputs(x), z, rtol=0, atol=1e-5)
    torch.testing.assert_close(loaded.network.decode_raw(loaded.network.encode(x)), drawn, rtol=0, atol=1e-5)
    torch.testing.assert_close(loaded.reconstruct(x), drawn.clamp(-1, 1), rtol=0, atol=1e-5)
    ours = loaded.network.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in state.items())
    generator = frozen.load_generator(file)
    torch.testing.assert_close(generator.decode(loaded.encode(x)), loaded.reconstruct(x))
    assert generator.sample([0]).shape == (1, 3, 16, 16)
    loaded.write(tmp_path / "ours.safetensors")
    torch.testing.assert_close(
        frozen.load_autoencoder(tmp_path / "ours.safetensors").reconstruct(x), loaded.reconstruct(x)
    )


def test_the_folder_that_training_leaves(tmp_path: Path) -> None:
    file = save(tmp_path / "run" / "checkpoints", weights(), described(), "last")
    (tmp_path / "run" / "configs").mkdir()
    (file.with_suffix(".yaml")).rename(tmp_path / "run" / "configs" / "2021-project.yaml")
    (tmp_path / "run" / "configs" / "2021-lightning.yaml").write_text("lightning: {trainer: {gpus: 8}}\n")
    assert isinstance(ganvas.load(tmp_path / "run"), frozen.Autoencoder)
    assert isinstance(ganvas.load(file), frozen.Autoencoder)
    save(tmp_path / "run" / "checkpoints", weights(), described(), "epoch=9")
    with pytest.raises(RequestError, match=r"holds 2 checkpoints; name one of them, such as .*epoch=9\.ckpt"):
        ganvas.load(tmp_path / "run")


def test_a_transformers_checkpoint_holds_its_vqgan(tmp_path: Path) -> None:
    state = {f"first_stage_model.{name}": tensor for name, tensor in weights().items()}
    stage = described()["model"]
    config = {"model": {"target": "taming.models.cond_transformer.Net2NetTransformer", "params": {}}}
    config["model"]["params"] = {"transformer_config": {"target": "z"}, "first_stage_config": stage}
    loaded = frozen.load_autoencoder(save(tmp_path, {**state, "transformer.head.weight": torch.zeros(2)}, config))
    assert torch.equal(loaded.network.state_dict()["quant_conv.bias"], weights()["quant_conv.bias"])


def test_what_lightning_writes_beside_the_weights_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old checkpoints have the class of a callback as a key, which weights alone refuse."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = ModuleType(name)
    callback = type("ModelCheckpoint", (), {"__module__": name})
    module.__dict__["ModelCheckpoint"] = callback
    monkeypatch.setitem(sys.modules, name, module)
    for parent in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    file = save(tmp_path, weights(), described())
    content = torch.load(file, weights_only=True)
    torch.save({**content, "callbacks": {callback: {"best_model_score": torch.tensor(1.0)}}}, file)
    for known in (name, "pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.delitem(sys.modules, known)
    with pytest.raises(Exception, match="ModelCheckpoint"):
        torch.load(file, weights_only=True)
    allowed = torch.serialization.get_safe_globals()
    assert isinstance(ganvas.load(file), frozen.Autoencoder)
    assert torch.serialization.get_safe_globals() == allowed


class Malice:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("broken-in",)


def test_nothing_in_a_checkpoint_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = save(tmp_path, weights(), described())
    torch.save({"state_dict": weights(), "callbacks": Malice()}, file)
    with pytest.raises(
        RequestError, match="is a pickle, and reading one can run code; as weights alone it cannot be read"
    ):
        ganvas.load(file)
    assert not (tmp_path / "broken-in").exists()


@pytest.mark.parametrize(
    ("config", "change", "reason"),
    [
        (described(double_z=True), {}, "is a VQGAN with double_z, with different channels in and out"),
        (described(out_ch=4), {}, "with different channels in and out"),
        (described(ch_mult=[1, 1, 2, 2]), {}, "does not match its description: it lacks"),
        (described(ch=64), {}, "do not match its description"),
        (described(), {"quantize.embedding.weight": None}, "has no codebook, so it is not a VQGAN"),
        (described(), {"quantize.embed.weight": torch.zeros(2, 2)}, "is a GumbelVQ, .*; give a VQModel"),
        ({"model": {"params": {"other": 1}}}, {}, "no .yaml next to it describes one"),
        ({"model": {"params": {"ddconfig": {"ch": 1}}}}, {}, "the .yaml of .* lacks 'resolution'"),
    ],
)
def test_other_checkpoints_are_refused(
    config: dict[str, Any], change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    state = {name: tensor for name, tensor in {**weights(), **change}.items() if tensor is not None}
    with pytest.raises(RequestError, match=reason):
        ganvas.load(save(tmp_path, state, config))


def test_a_checkpoint_needs_its_description(tmp_path: Path) -> None:
    file = save(tmp_path, weights(), described())
    file.with_suffix(".yaml").unlink()
    for path in (file, tmp_path):
        with pytest.raises(RequestError, match=r"no \.yaml next to it describes one; put the \.yaml there"):
            ganvas.load(path)
    file.with_suffix(".yaml").write_text("model: [")
    with pytest.raises(RequestError, match="is not readable YAML"):
        ganvas.load(file)


@pytest.mark.parametrize(
    "described",
    [
        "model: 3",
        "model: {params: 3}",
        "model: {params: {ddconfig: 3}}",
        "model: {params: {first_stage_config: {}}}",
        "model: {params: {ddconfig: {resolution: 16, in_channels: 3, ch: 32, num_res_blocks: 1, z_channels: 4, "
        "ch_mult: 2}}}",
    ],
)
def test_a_description_of_something_else_is_refused(described: str, tmp_path: Path) -> None:
    file = save(tmp_path, weights(), {})
    file.with_suffix(".yaml").write_text(described)
    with pytest.raises(RequestError, match=r"the description of .* is damaged|no \.yaml next to it"):
        ganvas.load(file)


@pytest.mark.parametrize("content", ["{", "[]", '{"_class_name": "VQModel"}'])
def test_a_damaged_description_of_diffusers_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(RequestError, match=r"the description of .* is damaged .*; copy all of its files again"):
        ganvas.load(tmp_path)


def test_a_folder_of_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(RequestError, match=r"holds no weights; put model.safetensors or pytorch_model.bin next to"):
        ganvas.load(tmp_path)


def test_reconstruct_through_a_published_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = save(tmp_path, weights(), described())
    assert main(["reconstruct", str(file), "shapes", "--count", "4", "--out", str(tmp_path / "sheet.png")]) == 0
    assert "4 reconstructions in" in capsys.readouterr().out


# -- diffusers ---------------------------------------------------------------------------------------------------------


def vqmodel(**changes: Any) -> Any:
    """diffusers' VQModel with attention at 8 of 16 pixels."""
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    options = {
        "down_block_types": ("DownEncoderBlock2D", "AttnDownEncoderBlock2D", "DownEncoderBlock2D"),
        "up_block_types": ("UpDecoderBlock2D", "AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        **{"block_out_channels": (32, 32, 64), "layers_per_block": 2, "latent_channels": 4, "sample_size": 16},
        **{"num_vq_embeddings": 12, "vq_embed_dim": 5, **changes},
    }
    return diffusers.VQModel(**options).eval()


@pytest.mark.parametrize(("older", "groups"), [(False, 32), (True, 8)])
def test_a_folder_of_diffusers_agrees(older: bool, groups: int, tmp_path: Path) -> None:
    theirs = vqmodel(norm_num_groups=groups)
    torch.nn.init.normal_(theirs.quantize.embedding.weight, 0, 0.3)  # codes that differ enough to be told apart
    theirs.save_pretrained(tmp_path)
    if older:  # the names that attention had before diffusers 0.15, and .bin
        state = torch.nn.Module.state_dict(theirs)
        for now, then in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
            state = {name.replace(f".{now}.", f".{then}."): tensor for name, tensor in state.items()}
        (tmp_path / "diffusion_pytorch_model.safetensors").unlink()
        torch.save(state, tmp_path / "diffusion_pytorch_model.bin")
    loaded = ganvas.load(tmp_path)
    assert isinstance(loaded, frozen.Autoencoder) and isinstance(loaded.network, nets.VQGAN)
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        z, drawn = theirs.encode(x).latents, theirs(x).sample
    torch.testing.assert_close(loaded.network.outputs(x), z, rtol=0, atol=1e-5)
    assert len(loaded.network.quantize.nearest(z).unique()) > 3
    torch.testing.assert_close(loaded.network.decode_raw(loaded.network.encode(x)), drawn, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"norm_type": "spatial"},
        {"mid_block_add_attention": False},
        {"out_channels": 1},
        {"block_out_channels": (64, 96, 64)},
    ],
)
def test_other_folders_of_diffusers_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    vqmodel(**changes).save_pretrained(tmp_path)
    with pytest.raises(RequestError, match="is a VQModel that differs from CompVis's"):
        ganvas.load(tmp_path)


def test_a_folder_without_weights_or_of_another_model_is_explained(tmp_path: Path) -> None:
    vqmodel().save_config(tmp_path)
    with pytest.raises(RequestError, match=r"holds no weights; put diffusion_pytorch_model\.safetensors or"):
        ganvas.load(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"_class_name": "AutoencoderKL"}))
    with pytest.raises(RequestError, match="is diffusers' AutoencoderKL; give a VQModel"):
        ganvas.load(tmp_path)
