"""What every test shares: one thread, no display, and no trace left in the user's cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import pytest
import torch
from torch import Tensor

from ganvas import plan, recipes
from ganvas.data import Dataset
from ganvas.loop import train
from ganvas.recipes import Training

matplotlib.use("Agg")
torch.set_num_threads(1)  # results that depend on nothing but the seed, and workers that do not starve each other

FASHION_MNIST = (Path("/usr/share/datasets/fashion-mnist"), Path("/usr/share/dataset-fashion-mnist"))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of this test session, which every subprocess inherits."""
    before = os.environ.get("GANVAS_CACHE")
    path = tmp_path_factory.mktemp("cache")
    os.environ["GANVAS_CACHE"] = str(path)
    yield path
    if before is None:
        del os.environ["GANVAS_CACHE"]
    else:
        os.environ["GANVAS_CACHE"] = before


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for one test alone."""
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where precision is left to the plan it is fp32 on any machine, without seconds spent on timing both."""
    monkeypatch.setattr(plan, "bf16_gain", lambda device: 0.0)


@pytest.fixture(scope="session")
def fashion_mnist() -> Path:
    """The folder of Fashion-MNIST's four IDX files; skips where they are not installed."""
    for folder in FASHION_MNIST:
        if (folder / "train-images-idx3-ubyte.gz").exists():
            return folder
    pytest.skip("needs Fashion-MNIST (Debian: apt-get install dataset-fashion-mnist)")


@pytest.fixture(scope="session")
def published() -> Callable[[str], Path]:
    """Where the folder GANVAS_ASSETS holds a file that others published, by its name; skips where it does not."""

    def find(name: str) -> Path:
        folder = os.environ.get("GANVAS_ASSETS")
        path = next(Path(folder).rglob(name), None) if folder else None
        if path is None:
            pytest.skip(f"needs {name} in GANVAS_ASSETS (docs/features.md says where it is published)")
        return path

    return find


@pytest.fixture
def unchanged_by_looking() -> Callable[[Training, Dataset], None]:
    """Asserts that a system which is examined after each step learns what one that is left alone learns."""

    def learnt(options: Training, data: Dataset, look: bool) -> dict[str, Tensor]:
        torch.manual_seed(0)
        system = recipes.build(options, data, plan.Plan())
        for _ in train(system, data, steps=options.steps, batch=options.batch):
            if look:
                assert system.examine is not None
                system.examine()
        return torch.nn.ModuleDict(system.modules).state_dict()

    def check(options: Training, data: Dataset) -> None:
        seen, alone = learnt(options, data, True), learnt(options, data, False)
        assert all(torch.equal(seen[key], alone[key]) for key in alone)

    return check
