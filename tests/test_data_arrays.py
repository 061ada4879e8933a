"""Sources that are arrays already: .npz, IDX, CIFAR-10's batches; and fitting them to a size."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganvas.data import Dataset, arrays, members, open_data, rows
from ganvas.data.options import Options
from ganvas.errors import RequestError
from ganvas.progress import drain
from ganvas.sizes import Size

RNG = np.random.default_rng(0)


def images(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, np.uint8)


def fitted(items: np.ndarray, **wish: Any) -> torch.Tensor:
    return drain(arrays.fit(Dataset(name="some", items=torch.from_numpy(items)), Options(**wish))).items


def test_fit_keeps_a_shape_and_cuts_the_middle_of_another() -> None:
    wide = images(3, 1, 8, 14)
    assert np.array_equal(fitted(wide), wide)
    assert np.array_equal(fitted(wide, size=Size(8, 8)), wide[..., 3:11])
    assert np.array_equal(fitted(wide, size=Size(4, 8)), wide[..., 5:9])
    tall = images(3, 1, 14, 8)
    assert np.array_equal(fitted(tall, size=Size(8, 8)), tall[:, :, 3:11])
    assert np.array_equal(fitted(tall, size=Size(8, 4)), tall[:, :, 5:9])


def test_fit_averages_when_it_shrinks_and_keeps_flat_colour_flat() -> None:
    stripes = np.zeros((2, 1, 64, 64), np.uint8)
    stripes[..., ::2] = 255
    assert abs(fitted(stripes, size=Size(8, 8)).int() - 128).max() < 24
    flat = np.full((2, 3, 8, 8), 77, np.uint8)
    assert (fitted(flat, size=Size(32, 32)) == 77).all()


def test_fit_changes_channels() -> None:
    grey = images(2, 1, 8, 8)
    assert np.array_equal(fitted(grey, channels=3), np.repeat(grey, 3, axis=1))
    colour = images(2, 3, 8, 8)
    luma = np.tensordot(colour, [0.299, 0.587, 0.114], axes=(1, 0))[:, None]
    assert abs(fitted(colour, channels=1).numpy() - luma).max() <= 0.51


def test_fit_in_chunks_is_fit_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    items = images(10, 1, 9, 9)
    whole = fitted(items, size=Size(16, 16))
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path))
    monkeypatch.setattr(rows, "CHUNK", 3 * 16 * 16)
    assert torch.equal(fitted(items, size=Size(16, 16)), whole)


def test_what_was_fitted_before_goes_by_its_new_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    drawn = images(2, 8, 8)
    for words in (("cat", "dog"), ("feline", "hound")):
        np.savez(tmp_path / "a.npz", images=drawn, labels=words)
        assert open_data(str(tmp_path / "a.npz"), size=4).class_names == words


def test_what_fits_is_left_alone() -> None:
    data = Dataset(name="some", items=torch.from_numpy(images(2, 3, 8, 8)))
    assert drain(arrays.fit(data, Options(size=Size(8, 8), channels=3))) is data


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 8, 1), (5, 8, 8, 3)])
def test_npz(tmp_path: Path, shape: tuple[int, ...]) -> None:
    drawn = images(*shape)
    np.savez(tmp_path / "a.npz", images=drawn, labels=np.array([0, 2, 2, 1, 0], np.int32), captions=list("abcde"))
    data = open_data(str(tmp_path / "a.npz"))
    assert np.array_equal(data.items.permute(0, 2, 3, 1), drawn.reshape(5, 8, 8, -1))
    assert data.labels is not None
    assert (data.labels.tolist(), data.class_names) == ([0, 2, 2, 1, 0], ("0", "1", "2"))
    assert data.captions == tuple("abcde")


def test_npz_labels_may_be_words(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=images(3, 8, 8), labels=["dog", "cat", "dog"])
    data = open_data(str(tmp_path / "a.npz"))
    assert data.labels is not None
    assert (data.labels.tolist(), data.class_names) == ([1, 0, 1], ("cat", "dog"))


def test_an_npz_holds_points_where_it_holds_no_images(tmp_path: Path) -> None:
    points = RNG.normal(size=(5, 3))
    np.savez(tmp_path / "a.npz", points=points, seeds=np.arange(5))
    data = open_data(str(tmp_path / "a.npz"))
    assert (data.shape, data.items.dtype) == ((3,), torch.float32)
    assert np.allclose(data.items.numpy(), points)
    np.savez(tmp_path / "b.npz", points=points, images=images(2, 8, 8))
    assert open_data(str(tmp_path / "b.npz")).shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"pictures": images(2, 8, 8)}, "no array named 'images'"),
        ({"images": images(2, 8, 8) * 3.0 - 300}, "float64"),
        ({"images": images(2, 8, 8, 2)}, r"\(2, 8, 8, 2\)"),
        ({"images": images(0, 8, 8)}, "N at least 1"),
        ({"images": images(2, 8, 8), "labels": np.zeros(3, int)}, "2 images but 3 labels"),
        ({"images": images(2, 8, 8), "labels": np.array([0, -1])}, "is -1; number classes from 0"),
        ({"images": images(2, 8, 8), "labels": np.zeros((2, 2), int)}, "give one for each item"),
        ({"images": np.array([{}, {}], object)}, "plain arrays"),
        ({"images": images(2, 8, 8), "labels": 5}, "2 images but 1 labels"),
        ({"images": images(1, 8, 8), "labels": 5}, "give one for each item"),
        ({"images": images(2, 8, 8), "labels": np.array([0, 2**40])}, "is 1099511627776; number classes from 0"),
        ({"images": images(2, 8, 8), "labels": np.array([0, 2**63], np.uint64)}, "number classes from 0"),
        ({"images": images(2, 8, 8), "labels": [b"\xe9", b"e"]}, "labels of .* are not UTF-8"),
        ({"images": images(2, 8, 8), "captions": [["a", "b"]] * 2}, r"captions of .* have shape \(2, 2\)"),
        ({"points": np.zeros((3, 2, 2))}, "finite numbers of shape"),
        ({"points": np.array([[0.0, np.nan]])}, "finite numbers of shape"),
        ({"points": np.zeros((3, 2)), "labels": np.zeros(2, int)}, "3 points but 2 labels"),
    ],
)
def test_an_npz_that_holds_something_else_is_refused(tmp_path: Path, content: dict, message: str) -> None:
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(RequestError, match=message):
        open_data(str(tmp_path / "a.npz"))


def damaged_archives() -> dict[str, bytes]:
    """Archives that numpy, zipfile and zlib each refuse in their own way."""
    packed, plain, array, member = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez_compressed(packed, images=images(4, 8, 8))
    np.savez(plain, images=images(4, 8, 8))
    np.save(array, images(4, 8, 8))
    with zipfile.ZipFile(member, "w") as archive:
        archive.writestr("images", b"no array")
    garbled, locked = bytearray(packed.getvalue()), bytearray(plain.getvalue())
    garbled[60:90] = b"\xff" * 30
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    return {"garbled": garbled, "locked": locked, "npy": array.getvalue(), "member": member.getvalue(), "empty": b""}


@pytest.mark.parametrize(("name", "data"), damaged_archives().items(), ids=damaged_archives().keys())
def test_a_damaged_npz_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / f"{name}.npz").write_bytes(data)
    with pytest.raises(RequestError, match=rf"{name}\.npz"):
        open_data(str(tmp_path / f"{name}.npz"))


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("packed", [True, False])
def test_idx_pairs(tmp_path: Path, packed: bool) -> None:
    drawn = {"train": images(6, 8, 8), "t10k": images(2, 8, 8)}
    for prefix, items in drawn.items():
        for name, array in {"images-idx3": items, "labels-idx1": np.arange(len(items), dtype=np.uint8)}.items():
            data = gzip.compress(idx(array)) if packed else idx(array)
            (tmp_path / f"{prefix}-{name}-ubyte{'.gz' if packed else ''}").write_bytes(data)
    train, test = open_data(str(tmp_path)), open_data(str(tmp_path), split="test")
    assert np.array_equal(train.items[:, 0], drawn["train"])
    assert np.array_equal(test.items[:, 0], drawn["t10k"])
    assert train.labels is not None
    assert (train.labels.tolist(), train.classes) == (list(range(6)), 6)
    file = next(tmp_path.glob("t10k-images*"))
    assert open_data(str(file)).fingerprint == test.fingerprint
    next(tmp_path.glob("t10k-labels*")).unlink()
    assert open_data(str(file)).labels is None
    with pytest.raises(RequestError, match=r"has no labels; put t10k-labels-idx1-ubyte(\.gz)? next to it"):
        open_data(str(tmp_path), split="test")
    file.unlink()
    with pytest.raises(RequestError, match=r"split: .* has no test split; add t10k-images"):
        open_data(str(tmp_path), split="test")


def test_idx_labels_of_another_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images-idx3").write_bytes(idx(images(2, 8, 8)))
    (tmp_path / "labels-idx1").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(RequestError, match="has 3 labels for the 2 images"):
        open_data(str(tmp_path / "images-idx3"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (idx(images(2, 8, 8))[:-1], "is damaged"),
        (idx(images(2, 8, 8)) + b"more", "is damaged"),
        (idx(images(1, 1, 1))[:4] + b"\xff" * 12, "is damaged: its header says"),
        (idx(images(2, 8)), "not an IDX file of unsigned bytes with 3 dimensions"),
        (idx(images(2, 8, 8), kind=13), "not an IDX file"),
        (b"\0", "cannot be read"),
        (gzip.compress(idx(images(2, 8, 8)))[:-30], "cannot be read"),
        (idx(images(0, 8, 8)), "no images"),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a-images-idx3-ubyte").write_bytes(data)
    with pytest.raises(RequestError, match=message):
        open_data(str(tmp_path / "a-images-idx3-ubyte"))


def cifar_batch(items: np.ndarray, labels: list[int]) -> bytes:
    """A batch as Python 2 wrote it, where bytes were strings and numpy's internals had their old name."""
    data = items.reshape(len(items), -1)
    head = b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    kind = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(" + b"".join(b"M" + struct.pack("<H", n) for n in data.shape) + b"t"
    state = b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<i", data.size) + data.tobytes() + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return head + state + b"U\x06labels" + numbers + b"u."


def cifar_files(items: np.ndarray) -> dict[str, bytes]:
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    return {name: cifar_batch(items[2 * i : 2 * i + 2], [i, i + 1]) for i, name in enumerate(names)}


@pytest.mark.parametrize("packed", [True, False])
def test_cifar_batches(tmp_path: Path, packed: bool) -> None:
    items = images(12, 3, 32, 32)
    place = tmp_path / "cifar-10-python.tar.gz" if packed else tmp_path
    if packed:
        with tarfile.open(place, "w:gz") as archive:
            for name, data in cifar_files(items).items():
                entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    else:
        for name, data in cifar_files(items).items():
            (tmp_path / name).write_bytes(data)
    train, test = open_data(str(place)), open_data(str(place), split="test")
    assert np.array_equal(torch.cat([train.items, test.items]), items)
    assert train.labels is not None
    assert train.labels.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert train.class_names[8] == "ship"


class Harmful:
    def __reduce__(self) -> Any:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pickle.dumps({"data": Harmful()}, 2), "calls for (posix|nt).system"),
        (b"not a pickle", "data_batch_1 is not a batch"),
        (pickle.dumps({"data": 1}, 2), "is not a batch"),
    ],
    ids=["code", "junk", "number"],
)
def test_a_pickle_of_anything_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(data)
    with pytest.raises(RequestError, match=message):
        open_data(str(tmp_path))
    assert not (tmp_path / "harmed").exists()


def test_missing_batches_are_named(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(cifar_files(images(12, 3, 32, 32))["data_batch_1"])
    with pytest.raises(RequestError, match="lacks data_batch_2, data_batch_3"):
        open_data(str(tmp_path))
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"\x1f\x8b no")
    with pytest.raises(RequestError, match="cannot be read as CIFAR-10"):
        open_data(str(tmp_path / "cifar-10-python.tar.gz"))


PLAIN = images(6, 8, 8, 3)
NUMBERS = np.array([0, 2, 1, 0, 2, 1])
OTHER_ARRAYS: dict[str, tuple[np.ndarray, np.ndarray, str]] = {
    "float": (PLAIN / 255, PLAIN, "0 is black and 1 is white"),
    "centred": ((PLAIN / 127.5 - 1).astype(np.float32), PLAIN, "-1 is black and 1 is white"),
    "bool": (PLAIN[..., 0] > 99, 255 * (PLAIN[..., :1] > 99), "False is black"),
    "first": (PLAIN.transpose(0, 3, 1, 2), PLAIN, "is read as (N, C, H, W)"),
    "deep": (PLAIN.astype(np.uint16) * 257, PLAIN, "0 is black and 65535 is white"),
}


@pytest.mark.parametrize("name", OTHER_ARRAYS)
@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_arrays_of_other_kinds(tmp_path: Path, name: str, suffix: str) -> None:
    array, right, said = OTHER_ARRAYS[name]
    path = tmp_path / f"a.{suffix}"
    if suffix == "npz":
        np.savez(path, images=array)
    else:
        np.save(path, array)
    data = open_data(str(path))
    assert np.array_equal(data.items.permute(0, 2, 3, 1), right)
    assert (data.name, data.origin.place) == ("a", str(path))
    assert said in data.origin.notes[0]


def test_arrays_with_alpha(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[[[200, 100, 0, 51], [9, 9, 9, 0]]]], np.uint8))
    assert open_data(str(tmp_path / "a.npy")).items.tolist() == [[[[40, 0]], [[20, 0]], [[0, 0]], [[51, 0]]]]


@pytest.mark.parametrize(
    ("items", "labels"),
    [("x_train", "y_train"), ("train_images", "train_labels"), ("X", "y"), ("data", "target"), ("arr_0", "arr_1")],
)
def test_arrays_of_usual_names(tmp_path: Path, items: str, labels: str) -> None:
    np.savez(tmp_path / "a.npz", **{items: PLAIN, labels: NUMBERS[:, None]})
    data = open_data(str(tmp_path / "a.npz"))
    assert data.labels is not None and data.labels.tolist() == NUMBERS.tolist()
    assert np.array_equal(data.items.permute(0, 2, 3, 1), PLAIN)
    assert f"items from {items!r}, labels from {labels!r}" in data.origin.notes[0]


def test_the_test_split_of_keras_archives(tmp_path: Path) -> None:
    parts = {"x_train": PLAIN[..., 0], "y_train": NUMBERS, "x_test": PLAIN[:2, ..., 0], "y_test": NUMBERS[:2]}
    np.savez(tmp_path / "mnist.npz", **parts)
    data = open_data(str(tmp_path / "mnist.npz"), hold_out=0.5)
    assert data.held_out is not None and data.held_out.labels is not None
    assert (len(data), data.held_out.labels.tolist(), data.held_out.split) == (6, [0, 2], "test")
    np.savez(tmp_path / "a.npz", images=PLAIN)
    with pytest.raises(RequestError, match="has no test split"):
        open_data(str(tmp_path / "a.npz"), split="test")


def test_arrays_that_are_not_used_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=PLAIN, ids=NUMBERS, seeds=NUMBERS)
    (note,) = open_data(str(tmp_path / "a.npz")).origin.notes
    assert "ids not used" in note and "seeds" not in note


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("array", [PLAIN, PLAIN[..., 0], PLAIN / 255, np.asfortranarray(PLAIN[..., 0])])
def test_large_archives_are_not_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Any, array: np.ndarray
) -> None:
    save(tmp_path / "a.npz", images=array, labels=NUMBERS)
    expected = open_data(str(tmp_path / "a.npz"))
    monkeypatch.setattr(members, "LARGE", 0)
    if save is np.savez_compressed and np.isfortran(array):
        with pytest.raises(RequestError, match="Fortran's order"):
            open_data(str(tmp_path / "a.npz"))
        return
    assert open_data(str(tmp_path / "a.npz")).fingerprint == expected.fingerprint
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-400])
    with pytest.raises(RequestError, match=r"cannot be read as an \.npz"):
        open_data(str(tmp_path / "a.npz"))


def test_fit_says_what_it_cuts_and_flattens() -> None:
    wide = Dataset(name="some", items=torch.from_numpy(images(2, 4, 8, 16)))
    cut = drain(arrays.fit(wide, Options(size=Size(8, 8), channels=3)))
    assert "50% of each is cut off; give size=12x6" in cut.origin.notes[0]
    assert "channels=4 keeps" in cut.origin.notes[1]
    assert drain(arrays.fit(wide, Options(size=Size(32, 16)))).origin.notes == ()
