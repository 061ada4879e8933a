"""Exported generators: what they draw elsewhere is what they draw here, or they are not written."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import ganvas
from ganvas import cli, exporters, nets
from ganvas.errors import RequestError
from ganvas.exporters import graph, page, program, runtime
from ganvas.frozen import TrainedGenerator
from ganvas.frozen.diffusion import Diffusion
from ganvas.frozen.generator import DECODERS
from ganvas.latent import Directions
from ganvas.nets import Generator

SMALL: dict[str, Callable[[], Generator]] = {
    "mlp": lambda: nets.MLPGenerator((1, 8, 8), latent=4, hidden=(16,), norm=True),
    "dcgan": lambda: nets.DCGANGenerator((3, 16, 16), latent=8, width=8),
    "residual": lambda: nets.ResidualGenerator((1, 14, 14), latent=8, width=8),
    "progan": lambda: nets.ProGANGenerator((3, 8, 8), 16, (6, 4)),
    "mobilestylegan": lambda: nets.MobileStyleGANGenerator((3, 16, 16), 8, (8, 4), 2),
    "vqgan": lambda: nets.VQGANDecoder((3, 8, 8), 4, 8, 32, (1, 1), 1, (4,), 4),
    "diffusion": lambda: Diffusion((1, 8, 8), network={"width": 8}, steps=1),
    "conditional": lambda: nets.ConditionalGenerator(
        (1, 8, 8), 4, "mlp", {"shape": (1, 8, 8), "latent": 7, "hidden": (16,)}, classes=3, embedding=3
    ),
}


class Labelled(Generator):
    """Something that knows classes, and adds the class's own picture."""

    def __init__(self) -> None:
        super().__init__(4, (1, 8, 8), {"classes": 3})
        self.embed, self.linear = nn.Embedding(3, 64), nn.Linear(4, 64)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        assert label is not None
        return torch.tanh(self.linear(z) + self.embed(label)).reshape(len(z), 1, 8, 8)


class Noisy(Generator):
    """Something whose latents are noise of the image's shape, and uniform."""

    def __init__(self) -> None:
        super().__init__(64, (1, 8, 8), {})
        self.layer = nn.Conv2d(1, 1, 3, padding=1)

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.rand(n, 1, 8, 8, generator=generator)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return torch.tanh(self.layer(z))


def frozen(decoder: Generator, class_names: tuple[str, ...] = ()) -> TrainedGenerator:
    torch.manual_seed(0)
    for weight in decoder.parameters():
        nn.init.normal_(weight, std=0.3)
    return TrainedGenerator(decoder.eval().requires_grad_(False), "some", class_names)


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    path = tmp_path / "generator.safetensors"
    frozen(SMALL["mlp"]()).write(path)
    return path


SLOW = {"vqgan", "diffusion"}  # graphs of hundreds of nodes


@pytest.mark.parametrize("net", [pytest.param(net, marks=[pytest.mark.slow] * (net in SLOW)) for net in SMALL])
def test_every_network_is_the_same_in_onnxruntime(net: str, tmp_path: Path) -> None:
    generator = frozen(SMALL[net]())
    assert set(SMALL) == set(DECODERS) and type(generator.decoder) is DECODERS[net]
    found = exporters.export(generator, tmp_path / "g.onnx")
    assert found <= 1e-5
    draw = graph.reopen((tmp_path / "g.onnx").read_bytes())
    given = exporters.inputs(generator, range(9))  # a batch of a size that has not been seen
    torch.testing.assert_close(draw(*given), generator.sample(range(9)), atol=1e-5, rtol=0)


def test_classes_are_an_input(tmp_path: Path) -> None:
    generator = frozen(Labelled(), ("ant", "bee", "cow"))
    z, label = generator.latents([5, 6]), torch.tensor([2, 0])
    for suffix, form in exporters.FORMATS.items():
        exporters.export(generator, tmp_path / f"g{suffix}")
        drawn = form.reopen((tmp_path / f"g{suffix}").read_bytes())(z, label)
        torch.testing.assert_close(drawn, generator.decode(z, label), atol=1e-5, rtol=0)


def test_keywords_are_an_input() -> None:
    inner = {"shape": (1, 8, 8), "latent": 7, "hidden": (16,)}
    generator = frozen(nets.ConditionalGenerator((1, 8, 8), 4, "mlp", inner, keywords="abcde", embedding=3, prompts=4))
    draw = graph.reopen(graph.encode(generator))
    label = torch.eye(5, dtype=torch.uint8)
    z = generator.latents([7]).expand(5, -1).contiguous()
    torch.testing.assert_close(draw(z, label), generator.decode(z, label), atol=1e-5, rtol=0)
    assert (draw(z, label).diff(dim=0).abs().amax((1, 2, 3)) > 0.01).all()


def test_points_and_noise_are_exported(tmp_path: Path) -> None:
    points = frozen(nets.MLPGenerator((2,), latent=2, hidden=(8,)))
    assert exporters.export(points, tmp_path / "points.pt2") <= 1e-6
    assert exporters.export(frozen(Noisy()), tmp_path / "noise.onnx") <= 1e-6


def test_the_files_tell_what_they_hold_and_not_where_they_were_made() -> None:
    import onnx

    generator = frozen(Labelled(), ("ant", "bee", "cow"))
    content = graph.encode(generator)
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model)
    found = json.loads({entry.key: entry.value for entry in model.metadata_props}["ganvas"])
    assert found == {
        **{"recipe": "some", "class_names": ["ant", "bee", "cow"], "classes": 3, "keywords": []},
        **{"shape": [1, 8, 8], "latent": [4]},
    }
    names = [value.name for value in (*model.graph.input, *model.graph.output)]
    assert names == ["z", "label", "items"]
    axes = {value.type.tensor_type.shape.dim[0].dim_param for value in (*model.graph.input, *model.graph.output)}
    assert axes == {"batch"}
    extra = {"ganvas.json": ""}
    packed = program.encode(generator)
    torch.export.load(BytesIO(packed), extra_files=extra)
    assert json.loads(extra["ganvas.json"]) == found
    home = str(Path(ganvas.__file__).parent).encode()
    assert home not in content and home not in packed


def test_what_differs_is_not_written(
    generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "g.onnx"
    here = ganvas.load(generator)
    assert isinstance(here, TrainedGenerator)
    monkeypatch.setitem(
        exporters.FORMATS, ".onnx", exporters.Format(lambda _: b"", lambda _: lambda z: here.decode(z) + 2e-4)
    )
    assert cli.main(["export", str(generator), "--out", str(out)]) == 1
    assert "2.0e-04" in capsys.readouterr().err
    assert not out.exists()
    monkeypatch.setitem(
        exporters.FORMATS, ".onnx", exporters.Format(lambda _: b"", lambda _: lambda z: here.decode(z) * torch.nan)
    )
    assert cli.main(["export", str(generator), "--out", str(out)]) == 1
    assert not out.exists()


def test_what_torch_cannot_follow_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frozen(Diffusion((1, 8, 8), network={"width": 8}, steps=2)).write(tmp_path / "g.safetensors")
    words = ["export", str(tmp_path / "g.safetensors"), "--set", "sampler=ancestral", "--out", str(tmp_path / "g.pt2")]
    assert cli.main(words) == 1
    assert "sampler=dpm++" in capsys.readouterr().err
    assert not (tmp_path / "g.pt2").exists()


def test_what_cannot_be_exported_is_refused_with_its_fix(
    generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen(nets.MLPGenerator((2,), latent=2, hidden=(8,))).write(tmp_path / "points.safetensors")
    for words, said in {
        (generator, "--out", "model.h5"): "a .onnx, a .pt2, a .html",
        (generator, "--out", "folder/"): "a .onnx, a .pt2, a .html",
        (generator, "--out", "model.onnx", "--directions", "d.npz"): "a page has sliders",
        (generator, "--out", "page.html", "--directions", "d.npz"): "d.npz",
        (tmp_path / "points.safetensors", "--out", "page.html"): "points have no picture",
    }.items():
        assert cli.main(["export", *map(str, words)]) == 2
        assert said in capsys.readouterr().err
    monkeypatch.setattr(graph, "find_spec", lambda _: None)
    assert cli.main(["export", str(generator), "--out", str(tmp_path / "model.onnx")]) == 2
    assert "pip install 'ganvas[onnx]'" in capsys.readouterr().err


def test_a_page_holds_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "open_runtime", lambda: (b"script", b"wasm"))
    generator = frozen(Labelled(), ("ant", "<bee>", "cow"))
    directions = Directions(torch.eye(4)[:2], ("size", "a </script> tag"))
    written = page.encode(generator, b"model", "pets", directions).decode()
    assert "<title>pets</title>" in written and "&lt;bee&gt;" in written and "a </script> tag" not in written
    assert written.count('class="direction"') == 2
    assert not {"http:", "https:", "src=", "@import"} & set(written.replace("=", "= ").split())
    assert page.pack(b"wasm") in written and page.pack(b"model") in written


def test_what_a_page_knows() -> None:
    plain, noise = frozen(SMALL["mlp"]()), frozen(Noisy())
    assert page.draws_normals(plain) and not page.draws_normals(noise)
    assert page.truncates(plain) and not page.truncates(noise)
    assert not page.truncates(frozen(SMALL["progan"]()))  # which normalises its latents
    assert page.strongest(plain).vectors.shape == (4, 4)
    ways = Directions(torch.eye(4)[:2], ("first", "second"))
    assert page.reach(plain, ways) == pytest.approx([4, 4], rel=0.2)
    found = page.strongest(noise)
    assert found.vectors.shape[1:] == (1, 8, 8)
    torch.testing.assert_close(found.vectors.flatten(1).norm(dim=1), torch.ones(len(found.vectors)))


def test_a_runtime_that_cannot_be_had_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path))
    monkeypatch.setattr(runtime, "URL", "http://127.0.0.1:9/none.tgz")
    with pytest.raises(RequestError, match=r"onnxruntime-web .* put ort\.wasm"):
        runtime.open_runtime()
    folder = tmp_path / f"onnxruntime-web-{runtime.VERSION}"
    assert not folder.exists()
    folder.mkdir()
    for name in (runtime.SCRIPT, runtime.WASM):
        (folder / name).write_text(name)
    assert runtime.open_runtime() == (runtime.SCRIPT.encode(), runtime.WASM.encode())


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to run JavaScript with")
def test_a_page_draws_the_latents_of_torch() -> None:
    sizes, seeds = (1, 2, 5, 15, 16, 17, 31, 64, 100, 784), (0, 7, 2**32 - 1)
    source = (Path(page.__file__).parent / "templates" / "normals.js").read_text()
    ask = f"console.log(JSON.stringify({list(seeds)}.map((s) => {list(sizes)}.map((n) => [...normals(n, s)]))))"
    found = subprocess.run(["node", "-e", f"{source};{ask}"], capture_output=True, text=True, check=True).stdout
    for seed, rows in zip(seeds, json.loads(found), strict=True):
        for n, row in zip(sizes, rows, strict=True):
            expected = torch.randn(n, generator=torch.Generator().manual_seed(seed))
            torch.testing.assert_close(torch.tensor(row), expected, atol=5e-6, rtol=0)
