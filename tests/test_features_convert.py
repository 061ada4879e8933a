from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ganvas.errors import RequestError
from ganvas.features import convert as command
from ganvas.frozen.foreign import read
from ganvas.frozen.published import open_network, write


def test_state_dicts_and_safetensors_are_read_as_float32(tmp_path: Path) -> None:
    content = {"b.weight": torch.randn(2, 3).half(), "a": torch.randn(4), "steps": torch.tensor(3)}
    torch.save(content, tmp_path / "x.pth")
    save_file(content, tmp_path / "x.safetensors")
    for file in ("x.pth", "x.safetensors"):
        found = read(tmp_path / file)
        assert set(found) == {"a", "b.weight"}
        assert torch.equal(found["b.weight"], content["b.weight"].float())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript
def test_torchscript_is_read_in_its_order(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    torch.jit.script(network).save(str(tmp_path / "x.pt"))
    found = read(tmp_path / "x.pt")
    assert list(found) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert torch.equal(found["1.weight"], network[1].weight)


def test_products_of_an_onnx_file_get_their_modules_names_and_their_scales(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    weight = torch.randn(3, 5)  # as a linear layer from 5 to 3 holds it
    scale, zero = torch.tensor([0.5, 0.25, 2.0]), torch.tensor([0, 3, -1], dtype=torch.int8)
    rounded = torch.randint(-128, 127, (5, 3), dtype=torch.int8)
    initial = {
        "m.bias": torch.randn(3),
        "onnx::MatMul_7": weight.T.contiguous(),
        "onnx::MatMul_9_quantized": rounded,
        "onnx::MatMul_9_scale": scale,
        "onnx::MatMul_9_zero_point": zero,
    }
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["a"], name="/blocks.0/fc1/MatMul"),
        helper.make_node("MatMul", ["a", "y"], ["b"], name="/blocks.0/attn/MatMul"),
        helper.make_node(
            "MatMulInteger",
            ["q", "onnx::MatMul_9_quantized", "qz", "onnx::MatMul_9_zero_point"],
            ["c"],
            name="/blocks.0/fc2/MatMul_quant",
        ),
    ]
    tensors = [numpy_helper.from_array(value.numpy(), name) for name, value in initial.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [], tensors)), str(tmp_path / "x.onnx"))

    found = read(tmp_path / "x.onnx")
    assert set(found) == {"m.bias", "blocks.0.fc1.weight", "blocks.0.fc2.weight"}
    assert torch.equal(found["blocks.0.fc1.weight"], weight)
    expected = (rounded.float() - zero.float()) * scale
    assert torch.equal(found["blocks.0.fc2.weight"], expected.T)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("harm",)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.tar", b"", r"unknown kind of weights file '\.tar'; did you mean"),
        ("x.pth", b"nonsense", "x.pth cannot be read as weights"),
        ("x.pth", pickle.dumps(Harmful()), "x.pth cannot be read as weights"),
        ("x.ckpt", pickle.dumps(Harmful()), "it calls for builtins.print, which is not an array"),
        ("x.safetensors", b"nonsense", "x.safetensors cannot be read as weights"),
        ("x.onnx", b"nonsense", "x.onnx (cannot be read as weights|needs the onnx package)"),
    ],
)
def test_what_is_no_weights_is_refused_and_never_run(
    name: str, content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=words):
        read(tmp_path / name)
    assert "harm" not in capsys.readouterr().out.split()


def test_the_command_says_what_it_made_or_why_it_did_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "x.pth")
    assert command.main(["dino", str(tmp_path / "x.pth"), "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "x.pth is not dino ('patch_embed.proj.weight'); give the file that docs/features.md describes" in error
    assert command.main(["clip", str(tmp_path / "none.pth")]) == 2
    assert "none.pth" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.safetensors"))


def test_weights_of_another_network_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    layer = nn.Linear(2, 3)
    write(tmp_path / "x.safetensors", {"in_features": 2, "out_features": 3}, layer.state_dict())
    network, digest = open_network("x", nn.Linear)
    assert torch.equal(network.weight, layer.weight) and not network.weight.requires_grad
    assert digest == open_network("x", nn.Linear)[1] and len(digest) == 16
    layer.bias.data += 1
    write(tmp_path / "x.safetensors", {"in_features": 2, "out_features": 3}, layer.state_dict())
    assert open_network("x", nn.Linear)[1] != digest

    for content in (lambda path: save_file({"a": torch.ones(1)}, path), lambda path: path.write_bytes(b"nonsense")):
        content(tmp_path / "x.safetensors")
        with pytest.raises(RequestError, match=r"x\.safetensors is not the weights of x .*convert x FILE"):
            open_network("x", nn.Linear)
    with pytest.raises(RequestError, match=r"x\.safetensors is not the weights of x"):
        write(tmp_path / "x.safetensors", {"in_features": 4, "out_features": 3}, layer.state_dict())
        open_network("x", nn.Linear)
