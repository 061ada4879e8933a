"""The hub: what is asked for, what is downloaded, and what is said where that fails. A folder stands in for it."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import huggingface_hub
import pyarrow as pa
import pytest
from datasets.exceptions import DatasetNotFoundError
from PIL import Image
from pyarrow import parquet

from ganvas.data import Dataset, open_data, opening
from ganvas.data.options import NoSplit, Options
from ganvas.errors import RequestError

COMMIT = "c0ffee"
load = datasets.load_dataset_builder


class Hub:
    """The repositories of a folder, in place of the hub; it remembers what was downloaded."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.downloads: list[str] = []

    def load_dataset_builder(self, repository: str, config: str | None, revision: str = "") -> Any:
        if repository.endswith("gated"):
            raise DatasetNotFoundError(f"Dataset '{repository}' is a gated dataset on the Hub.")
        if repository.endswith("script"):
            if not revision:
                raise RuntimeError("Dataset scripts are no longer supported, but found script.py")
            assert revision == "refs/convert/parquet"
        folder = self.root / repository
        if not folder.is_dir():
            raise DatasetNotFoundError(f"Dataset '{repository}' doesn't exist on the Hub or cannot be accessed.")
        builder = load(str(folder), config)
        start = f"hf://datasets/{repository}@{COMMIT}"
        files = {
            split: [f"{start}/{Path(file).relative_to(folder).as_posix()}" for file in found]
            for split, found in (builder.config.data_files or {}).items()
        }
        return SimpleNamespace(config=SimpleNamespace(data_files=files), info=builder.info)

    def hf_hub_download(self, repository: str, path: str, repo_type: str, revision: str) -> str:
        assert (repo_type, revision) == ("dataset", COMMIT)
        self.downloads.append(path)
        return str(self.root / repository / path)

    def snapshot_download(self, repository: str, repo_type: str) -> str:
        assert repo_type == "dataset"
        return str(self.root / repository)

    def list_repo_files(self, repository: str, repo_type: str) -> list[str]:
        folder = self.root / repository
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    hub = Hub(tmp_path / "hub")
    monkeypatch.setattr(datasets, "load_dataset_builder", hub.load_dataset_builder)
    for name in ("hf_hub_download", "snapshot_download"):
        monkeypatch.setattr(huggingface_hub, name, getattr(hub, name))
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    return hub


def picture(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), level).save(buffer, "PNG")
    return buffer.getvalue()


def add(hub: Hub, file: str, *numbers: int, label: str = "x") -> None:
    path = hub.root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {"image": [picture(i) for i in numbers], "label": [f"{label}{i}" for i in numbers]}
    parquet.write_table(pa.table(rows), path)


def levels(data: Dataset) -> list[int]:
    return data.items[:, 0, 0, 0].tolist()


def test_only_the_tables_of_the_split_are_downloaded(hub: Hub) -> None:
    add(hub, "owner/name/data/train-00000-of-00002.parquet", 1, 2)
    add(hub, "owner/name/data/train-00001-of-00002.parquet", 3)
    add(hub, "owner/name/data/test-00000-of-00001.parquet", 4)
    reports = [(it.what, it.text) for it in opening("hf:owner/name", Options())]
    assert ("downloading", "train-00001-of-00002.parquet") in reports
    assert hub.downloads == ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]
    data = open_data("hf:owner/name")
    assert (data.name, data.origin.place, levels(data)) == ("owner/name", "hf:owner/name", [1, 2, 3])
    assert len(hub.downloads) == 2  # a second opening needs none
    assert levels(open_data("hf:owner/name", split="test")) == [4]
    held = open_data("hf:owner/name", hold_out=0.5).held_out
    assert held is not None and levels(held) == [4]
    assert held.class_names == ("x1", "x2", "x3", "x4")  # numbered like those of train


def test_a_split_and_a_configuration_can_be_named(hub: Hub) -> None:
    for config in ("big", "small"):
        add(hub, f"owner/name/{config}/train.parquet", 1, label=config)
        add(hub, f"owner/name/{config}/test.parquet", 2, 3, label=config)
    files = "".join(f"- config_name: {name}\n  data_dir: {name}\n" for name in ("big", "small"))
    (hub.root / "owner/name/README.md").write_text(f"---\nconfigs:\n{files}---\n")
    with pytest.raises(RequestError, match=r"available configs: \['big', 'small'\]; write hf:owner/name/CONFIG"):
        open_data("hf:owner/name")
    assert open_data("hf:owner/name/small").class_names == ("small1",)
    assert levels(open_data("hf:owner/name/big@test")) == [2, 3]
    assert levels(open_data("hf:owner/name/big@train")) == [1]
    with pytest.raises(RequestError, match="has no split 'x'; choose from train, test"):
        open_data("hf:owner/name/big@x")
    with pytest.raises(RequestError, match="BuilderConfig 'huge' not found"):
        open_data("hf:owner/name/huge")


def test_archives_of_samples(hub: Hub) -> None:
    for name, i in (("train-0", 1), ("train-1", 2), ("test-0", 3)):
        path = hub.root / "owner/name" / f"{name}.tar"
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as archive:
            for kind, data in (("png", picture(i)), ("cls", b"%d" % i)):
                entry = tarfile.TarInfo(f"{i}.{kind}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    data = open_data("hf:owner/name")
    assert (levels(data), data.class_names, hub.downloads) == ([1, 2], ("1", "2"), ["train-0.tar", "train-1.tar"])
    assert levels(open_data("hf:owner/name", split="test")) == [3]


def test_a_folder_of_pictures(hub: Hub) -> None:
    folder = hub.root / "owner/name"
    (folder / "cat").mkdir(parents=True)
    (folder / "dog").mkdir()
    (folder / "cat/a.png").write_bytes(picture(1))
    (folder / "dog/b.png").write_bytes(picture(2))
    data = open_data("hf:owner/name")
    assert (data.name, levels(data), data.class_names) == ("owner/name", [1, 2], ("cat", "dog"))
    with pytest.raises(NoSplit):
        open_data("hf:owner/name", split="test")
    with pytest.raises(RequestError, match=r"hold_out: 0\.1 of the 2 items"):  # as no test split is there
        open_data("hf:owner/name", hold_out=0.1)


def test_what_was_published_as_a_script_is_read_from_the_export(hub: Hub) -> None:
    add(hub, "owner/script/train.parquet", 5)
    assert levels(open_data("hf:owner/script")) == [5]


def test_what_cannot_be_had_is_said(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="is a gated dataset on the Hub; ask for access on its page"):
        open_data("hf:owner/gated")
    with pytest.raises(RequestError, match="doesn't exist on the Hub or cannot be accessed; check the name"):
        open_data("hf:owner/other")
    (hub.root / "owner/text").mkdir(parents=True)
    (hub.root / "owner/text/a.json").write_text('{"a": 1}')
    with pytest.raises(RequestError, match=r"has no pictures, but \.json"):
        open_data("hf:owner/text")

    def unreachable(*_: object) -> None:
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    with pytest.raises(RequestError, match="Couldn't reach the hub; check the connection"):
        open_data("hf:owner/name")


@pytest.mark.parametrize("spec", ["hf:name", "hf:", "hf:/name", "hf:a/b/c/d", "hf:owner/@test"])
def test_a_name_on_the_hub_has_an_owner(spec: str) -> None:
    with pytest.raises(RequestError, match="write hf:owner/name"):
        open_data(spec)


def test_the_library_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RequestError, match=r"ganvas\[hub\]"):
        open_data("hf:owner/name")
