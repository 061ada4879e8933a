"""`open_data` by name: the embedded digits, the public sets, stores, and the sentences of what cannot be opened."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas import files
from ganvas.data import NAMES, Dataset, digits, inspect, known, open_data, store
from ganvas.data.dataset import Modes
from ganvas.errors import RequestError, WorkError

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def some() -> Dataset:
    return Dataset(
        name="some",
        items=torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4),
        labels=torch.tensor([1, 0]),
        class_names=("a", "b"),
        captions=("one", "two"),
        attributes={"warm/cold": torch.tensor([[1.0], [2.0]])},
    )


def test_digits_are_embedded() -> None:
    report = inspect("digits")
    data = report.dataset
    assert (len(data), data.shape, data.classes, data.spec) == (1797, (1, 8, 8), 10, "digits")
    assert (data.items.min(), data.items.max()) == (0, 255)
    assert (report.duplicates, report.unreadable, sum(report.counts.values())) == (0, (), 1797)
    assert open_data("digits", size=16, channels=3).shape == (3, 16, 16)
    with pytest.raises(RequestError, match="split: digits has no test split"):
        open_data("digits", split="test")


def test_digits_are_those_that_were_published() -> None:
    data = open_data("digits")
    assert data.fingerprint == "6c78c83a93a39f1c"  # as runs have recorded it
    images, labels = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    shipped = np.load(digits.FILE)
    assert np.array_equal(shipped["images"].reshape(-1, 64), images)
    assert np.array_equal(shipped["labels"], labels)
    assert "CC BY 4.0" in digits.FILE.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digts", "unknown data set or folder 'digts'; did you mean digits"),
        ("fashion_mnist", "did you mean fashion-mnist"),
        ("no/such/folder", "there is no 'no/such/folder'; give a folder"),
        ("absent.zip", "there is no 'absent.zip'"),
        ("", "there is no ''"),
        ("hf:name", "write hf:owner/name"),
        ("~no-such-user/photos", "'~no-such-user/photos' cannot be opened"),
        ("x" * 5000, "x' cannot be opened"),
        ("no\0path", r"'no\\x00path' cannot be opened: .*null"),
        ("\ud800", "cannot be opened"),
    ],
)
def test_the_error_for_missing_data_names_it_and_the_fix(spec: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as error:
        open_data(spec)
    assert error.value.field == "data"


@pytest.mark.parametrize("refused", ["exists", "is_file"])
def test_a_path_that_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    def denied(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, refused, denied)
    with pytest.raises(RequestError, match=r"data: .* cannot be opened: .*Permission denied"):
        open_data(str(tmp_path))


@pytest.mark.parametrize(
    "wish",
    [{"size": "6x"}, {"size": 10**6}, {"channels": 2}, {"split": "validation"}, {"seed": -1}, {"seed": 2**63}],
    ids=str,
)
def test_impossible_wishes_are_refused(wish: dict) -> None:
    ((name, value),) = wish.items()
    with pytest.raises(RequestError, match=f"{name}: '?{value}") as error:
        open_data("digits", **wish)
    assert error.value.field == name


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_bytes(b"words")
    with pytest.raises(RequestError, match=r"a\.doc' is not a data set; give a folder"):
        open_data(str(tmp_path / "a.doc"))


def test_a_store_is_what_was_saved(some: Dataset, tmp_path: Path) -> None:
    some = replace(some, modes=Modes(torch.eye(2), 0.5))
    data = open_data(str(some.save(tmp_path / "a" / "store")))
    assert torch.equal(data.items, some.items)
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0]
    assert (data.class_names, data.captions, data.fingerprint) == (some.class_names, some.captions, some.fingerprint)
    assert data.attributes is not None
    assert data.attributes["warm/cold"].tolist() == [[1], [2]]
    assert data.modes is not None
    assert (data.modes.centres.tolist(), data.modes.sigma) == ([[1, 0], [0, 1]], 0.5)
    assert replace(data, fingerprint="").fingerprint == some.fingerprint
    assert open_data(str(tmp_path / "a" / "store"), size=8).shape == (3, 8, 8)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["store"]


@pytest.mark.parametrize("name", ["../../../escaped", "é" * 120])
def test_no_name_leads_out_of_the_cache_or_is_too_long_for_it(
    some: Dataset, own_cache: Path, tmp_path: Path, name: str
) -> None:
    replace(some, name=name).save(tmp_path / "store")
    assert open_data(str(tmp_path / "store"), size=8).name == name
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "store"}
    assert len(list((own_cache / "datasets").iterdir())) == 1


def test_points_are_stored_too(tmp_path: Path) -> None:
    data = open_data("sine")
    again = open_data(str(data.save(tmp_path / "sine")))
    assert torch.equal(again.items, data.items)
    assert (again.labels, again.captions, again.attributes, again.modes) == (None, None, None, None)


def test_large_stores_are_mapped_and_safe_from_writes(
    some: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = some.save(tmp_path / "store")
    monkeypatch.setattr(store, "LARGE", 0)
    mapped: list[str | None] = []
    load = np.load
    monkeypatch.setattr(
        np, "load", lambda *a, mmap_mode=None, **k: mapped.append(mmap_mode) or load(*a, mmap_mode, **k)
    )
    items = open_data(str(place)).items
    assert "c" in mapped
    items.zero_()
    assert torch.equal(open_data(str(place)).items, some.items)


def test_a_store_never_replaces_what_is_there(some: Dataset, tmp_path: Path) -> None:
    some.save(tmp_path / "store")
    with pytest.raises(RequestError, match="already exists"):
        some.save(tmp_path / "store")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RequestError, match="already exists"):
        some.save(tmp_path / "file")
    with pytest.raises(RequestError, match=r"out: .*not a path.*null"):
        some.save("a\0b")
    with pytest.raises(WorkError, match=r"cannot write .*below"):
        some.save(tmp_path / "file" / "below")


def test_a_failed_save_leaves_nothing(some: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(WorkError, match="no space left"):
        some.save(tmp_path / "out" / "store")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("meta.json", "{", "is damaged"),
        ("meta.json", '{"format": 99}', "is a store of format 99"),
        ("meta.json", '{"format": 1}', "is damaged"),
        ("images.npy", "no", "is damaged"),
    ],
)
def test_a_damaged_store_is_refused(some: Dataset, tmp_path: Path, file: str, content: str, message: str) -> None:
    place = some.save(tmp_path / "store")
    (place / file).write_text(content)
    with pytest.raises(RequestError, match=message):
        open_data(str(place))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("images", np.zeros((2, 3, 4, 4))),
        ("images", np.zeros((2, 4, 4), np.uint8)),
        ("images", np.zeros((0, 3, 4, 4), np.uint8)),
        ("images", np.zeros((3, 3, 4, 4), np.uint8)),
        ("labels", np.array([0])),
        ("labels", np.array([0, 2])),
        ("labels", np.array([0, -1])),
        ("labels", np.array([0.0, 1.0])),
        ("labels", None),
        ("attributes", b"PK\x03\x04 and no more"),
        ("attributes", None),
    ],
    ids=str,
)
def test_a_store_whose_parts_do_not_match_is_damaged(some: Dataset, tmp_path: Path, file: str, content: Any) -> None:
    place = some.save(tmp_path / "store")
    path = place / (f"{file}.npz" if file == "attributes" else f"{file}.npy")
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(RequestError, match="is damaged"):
        open_data(str(place))


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is quickly made again is opened all the same; what needs the room says where it needs it."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "file" / "cache"))
    assert len(open_data("digits")) == 1797
    with pytest.raises(WorkError, match="set GANVAS_CACHE"):
        open_data("shapes")


def test_the_cache_is_at_home_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GANVAS_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert files.cache_directory() == tmp_path / ".cache" / "ganvas"
    monkeypatch.setenv("GANVAS_DATA", "/a:/b" if sys.platform != "win32" else "/a;/b")
    assert known.roots()[:3] == [Path("/a"), Path("/b"), tmp_path / ".cache" / "ganvas" / "downloads"]


def test_every_public_set_is_among_the_names() -> None:
    assert set(known.KNOWN) < set(NAMES)


@pytest.mark.parametrize("name", sorted(known.KNOWN))
def test_an_absent_set_says_where_it_was_looked_for_and_how_to_get_it(
    name: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "roots", lambda: [own_cache / "downloads"])
    monkeypatch.setitem(known.KNOWN, name, replace(known.KNOWN[name], url="http://127.0.0.1:9/"))
    with pytest.raises(RequestError, match=f"{name} is not on this machine") as error:
        open_data(name)
    for part in (str(own_cache), "http://127.0.0.1:9/", "GANVAS_DATA", known.KNOWN[name].remedy):
        assert part in str(error.value)
    assert list((own_cache / "downloads").iterdir()) == []


def test_emoji_take_their_words_from_the_table(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "emoji-datasource-google" / "package"
    (place / "img/google/64").mkdir(parents=True)
    table = (
        '[{"name": "WAVING HAND SIGN", "image": "a.png", "category": "People", "skin_variations": '
        '{"1F3FB-1F3FF": {"image": "b.png"}}}, {"name": "SPIRAL SHELL", "image": "c.png", "category": "Nature"}]'
    )
    (place / "emoji.json").write_text(table)
    for name, colour in {"a": "red", "b": "blue", "c": "#fff0"}.items():
        Image.new("RGBA", (64, 64), colour).save(place / "img/google/64" / f"{name}.png")
    (place / "preview.png").write_bytes(b"not one of them")
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path))
    data = open_data("emoji")
    assert (data.name, data.shape, data.class_names) == ("emoji", (3, 64, 64), ("Nature", "People"))
    assert data.captions == (
        "waving hand sign",
        "waving hand sign, light and dark skin tone",
        "spiral shell",
    )
    assert (data.items[2] == 255).all()
    (place / "emoji.json").write_text("[{}]")
    with pytest.raises(RequestError, match=r"emoji\.json of .* cannot be read"):
        open_data("emoji")
