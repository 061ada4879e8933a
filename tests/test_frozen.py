"""The generator alone: what its file holds, what loads it, and what is refused."""

from __future__ import annotations

import json
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import ganvas
from ganvas import frozen, nets
from ganvas.errors import RequestError
from ganvas.frozen import TrainedGenerator


def small() -> TrainedGenerator:
    torch.manual_seed(0)
    return frozen.copy_generator(nets.MLPGenerator((1, 8, 8), latent=4, hidden=(8,)), "mlp", "ab", "cpu")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "generator.safetensors"
    small().write(str(path))
    return path


def test_what_is_loaded_is_what_was_written(file: Path) -> None:
    loaded = ganvas.load(file)
    assert (loaded.recipe, loaded.class_names) == ("mlp", ("a", "b"))
    assert not loaded.decoder.training
    assert torch.equal(loaded.sample(range(5)), small().sample(range(5)))
    assert torch.equal(ganvas.load(file.parent).sample([3]), loaded.sample([3]))
    with safe_open(file, "pt") as content:
        header = json.loads(content.metadata()["ganvas"])
    assert header["generator"]["options"]["latent"] == 4


def test_samples_follow_their_seeds(file: Path) -> None:
    generator = ganvas.load(file)
    items = generator.sample([5, 1, 5], batch=2)
    assert items.shape == (3, 1, 8, 8)
    torch.testing.assert_close(items[0], items[2])
    torch.testing.assert_close(generator.sample([1])[0], items[1])
    assert not torch.equal(items[0], items[1])
    mean = generator.sample([1, 2], truncation=0.0)
    torch.testing.assert_close(mean[0], mean[1])


def test_decoding_in_parts_holds_one_part_at_a_time(file: Path) -> None:
    generator = ganvas.load(file)
    z = generator.latents(range(5))
    parts = generator.iter_decode(z, batch=2)
    first = next(parts)
    assert not torch.is_inference_mode_enabled()  # while the caller has the turn
    assert torch.equal(torch.cat([first, *parts]), generator.decode(z, batch=2))
    assert len(first) == 2


def test_a_copy_does_not_follow_training() -> None:
    generator = nets.MLPGenerator((1, 8, 8), latent=4, hidden=(8,)).train()
    copy = frozen.copy_generator(generator, "mlp", (), "cpu")
    before = copy.sample([0])
    with torch.no_grad():
        next(generator.parameters()).add_(1)
    assert torch.equal(copy.sample([0]), before)
    assert generator.training


class Conditional(nets.MLPGenerator):
    """Draws its label."""

    def __init__(self, classes: int, shape: tuple[int, ...] = (1, 2, 2), latent: int = 3) -> None:
        super().__init__(shape, latent, hidden=(4,))
        self.options = {"classes": classes, "shape": list(shape), "latent": latent}

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        assert label is not None
        return label.reshape(-1, 1, 1, 1).float().expand(-1, 1, 2, 2)


def test_labels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(frozen.generator.DECODERS, "conditional", Conditional)
    frozen.copy_generator(Conditional(3), "cgan", ("cat", "dog", "7"), "cpu").write(tmp_path / "g.safetensors")
    generator = ganvas.load(tmp_path / "g.safetensors")

    def drawn(**label: int | str | None) -> list[float]:
        return generator.sample(range(4), **label)[:, 0, 0, 0].tolist()

    assert drawn() == [0, 1, 2, 0]  # the classes in turn
    assert drawn(label="dog") == drawn(label=1) == [1, 1, 1, 1]
    assert drawn(label="7") == [2, 2, 2, 2]  # a name goes before a number
    with pytest.raises(RequestError, match="unknown label 'dogg'; did you mean dog"):
        drawn(label="dogg")
    with pytest.raises(RequestError, match="unknown label '3'"):
        drawn(label=3)
    with pytest.raises(RequestError, match="trained without labels"):
        small().sample([0], label="a")


def test_nothing_that_trains_is_loaded(file: Path) -> None:
    code = f"import ganvas, sys; ganvas.load({str(file)!r}).sample(range(2)); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    ours = {name for name in loaded if name.startswith("ganvas.") and not name.startswith("ganvas.nets.")}
    assert {".".join(name.split(".")[:2]) for name in ours} == {
        "ganvas.errors",
        "ganvas.files",
        "ganvas.frozen",
        "ganvas.latent",
        "ganvas.nets",
        "ganvas.openmp",
        "ganvas.plan",
        "ganvas.progress",
        "ganvas.records",
        "ganvas.samplers",
        "ganvas.alpha",
        "ganvas.sizes",
        "ganvas.tokens",
        "ganvas.types",
    }
    assert not {"torch.utils.tensorboard", "matplotlib", "rich"} & set(loaded)


class Malice:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("broken-in",)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "MODEL.PKL", "model.ckpt", "model.safetensors"])
def test_a_pickle_never_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(pickle.dumps(Malice()))
    with pytest.raises(RequestError, match=r"is a pickle, and reading one can run code|is damaged"):
        ganvas.load(tmp_path / name)
    assert not (tmp_path / "broken-in").exists()
    pickle.loads((tmp_path / name).read_bytes())  # it would have
    assert (tmp_path / "broken-in").exists()


def test_what_cannot_be_loaded_is_explained(file: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"there is no file at .*nothing\.safetensors; give a run directory"):
        ganvas.load(tmp_path / "nothing.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="train it for at least one checkpoint"):
        ganvas.load(tmp_path / "empty")

    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(RequestError, match=r"cut\.safetensors is damaged"):
        ganvas.load(cut)

    foreign = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(1)}, foreign)
    with pytest.raises(RequestError, match="not a network of ganvas"):
        ganvas.load(foreign)

    newer = tmp_path / "newer.safetensors"
    save_file({"w": torch.zeros(1)}, newer, {"ganvas": json.dumps({"version": 99})})
    with pytest.raises(RequestError, match="newer ganvas"):
        ganvas.load(newer)


def rewrite(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the header of a network's file, and leave its weights."""
    with safe_open(file, "pt") as content:
        header = json.loads(content.metadata()["ganvas"])
        weights = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118 - not a dict
    change(header)
    save_file(weights, file, {"ganvas": json.dumps(header)})


@pytest.mark.parametrize(
    "options",
    [
        {"latent": 5},
        {"latent": 10**12},
        {"latent": 10**30},
        {"latent": -4},
        {"latent": "4"},
        {"latent": None},
        {"hidden": []},
        {"hidden": [8] * 10_000},
        {"hidden": [10**6, 10**6]},
        {"shape": [1, 10**9, 10**9]},
        {"shape": "no"},
        {"activate": "no"},
        {"activate": ["relu"]},
        {"unheard": 1},
    ],
)
def test_a_spec_that_its_weights_do_not_have_is_refused(file: Path, options: dict[str, Any]) -> None:
    rewrite(file, lambda header: header["generator"]["options"].update(options))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RequestError, match=r"generator\.safetensors is damaged"):
        ganvas.load(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("recipe"),
        lambda header: header.update(class_names=3),
        lambda header: header.update(generator=[]),
        lambda header: header.update(version="1"),
        lambda header: header["generator"].update(options=None),
        lambda header: header["generator"].pop("net"),
    ],
)
def test_a_header_with_a_wrong_type_is_refused(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    rewrite(file, change)
    with pytest.raises(RequestError, match=r"generator\.safetensors is damaged"):
        ganvas.load(file)


def test_weights_of_another_network_are_refused(file: Path) -> None:
    with safe_open(file, "pt") as content:
        metadata = content.metadata()
    save_file({"w": torch.zeros(1)}, file, metadata)
    with pytest.raises(RequestError, match=r"layers\.0\.bias is None and by the options \(8,\)"):
        ganvas.load(file)


def test_a_network_of_a_later_version_is_named(file: Path) -> None:
    rewrite(file, lambda header: header["generator"].update(net="transformer"))
    with pytest.raises(RequestError, match=r"holds a 'transformer', which .*; update ganvas"):
        ganvas.load(file)
