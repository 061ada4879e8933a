"""Data that is in memory: arrays, tensors, pictures, torch data sets, tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import ganvas
from ganvas.data import open_data
from ganvas.errors import RequestError

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (6, 8, 8, 3), np.uint8)
PLANES = BYTES.transpose(0, 3, 1, 2)  # (N, C, H, W)
GREY = BYTES[..., 0]


def pictures(count: int = 6) -> list[Image.Image]:
    return [Image.fromarray(item) for item in BYTES[:count]]


def said(source: Any, **wish: Any) -> str:
    return "\n".join(open_data(source, **wish).origin.notes)


@pytest.mark.parametrize(
    ("source", "right"),
    [
        (BYTES, PLANES),
        (GREY, GREY[:, None]),
        (GREY[..., None], GREY[:, None]),
        (PLANES, PLANES),
        (torch.from_numpy(PLANES.copy()), PLANES),
        (torch.from_numpy(GREY.copy()), GREY[:, None]),
        (torch.from_numpy(BYTES), PLANES),
        ((BYTES / 255).astype(np.float32), PLANES),
        (BYTES / 127.5 - 1, PLANES),
        (BYTES.astype(float), PLANES),
        (torch.from_numpy(PLANES / 127.5 - 1), PLANES),
        (torch.from_numpy(PLANES / 255).half(), PLANES),
        (BYTES.astype(np.int64), PLANES),
        (GREY > 99, 255 * (GREY[:, None] > 99)),
        ((GREY > 99).astype(int), 255 * (GREY[:, None] > 99)),
        (GREY.astype(np.uint16) * 257, GREY[:, None]),
        (pictures(), PLANES),
        (list(BYTES), PLANES),
        (list(torch.from_numpy(PLANES / 127.5 - 1).float()), PLANES),
        (TensorDataset(torch.from_numpy(PLANES.copy())), PLANES),
        ({"images": BYTES}, PLANES),
        (open_data(BYTES), PLANES),
    ],
    ids=lambda value: type(value).__name__,
)
def test_arrays_of_any_kind_are_the_same_pictures(source: Any, right: np.ndarray) -> None:
    assert np.array_equal(open_data(source).items, right)


def test_what_was_guessed_is_said() -> None:
    assert "is read as (N, C, H, W)" in said(PLANES)
    assert "is read as (N, H, W, C)" in said(torch.from_numpy(BYTES))
    assert "0 is black and 1 is white in the array (float64, 0 to 1)" in said(BYTES / 255)
    assert "-1 is black and 1 is white" in said(BYTES / 127.5 - 1)
    assert "0 is black and 255 is white" in said(BYTES.astype(float))
    assert "False is black" in said(GREY > 99)
    assert said(BYTES) == said(torch.from_numpy(PLANES.copy())) == ""


def test_levels_say_what_is_black_and_white() -> None:
    deep = (GREY.astype(np.uint16) * 16).clip(0, 4095)
    assert "0 is black and 4064 is white" in said(deep)
    assert abs(open_data(deep).items.numpy().astype(int) - GREY[:, None]).max() <= 1
    assert np.array_equal(open_data(deep, levels="0:4080").items, GREY[:, None])
    assert open_data(deep, levels="full").items.max() == 16
    wide = GREY * 10.0 - 7
    assert np.array_equal(open_data(wide, levels="-7:2543").items, GREY[:, None])
    with pytest.raises(RequestError, match="levels: '5:1' is not possible"):
        open_data(wide, levels="5:1")


def test_alpha_multiplies_colour() -> None:
    clear = np.concatenate([BYTES, np.full_like(BYTES[..., :1], 128)], 3)
    clear[0, 0, 0, 3], clear[0, 0, 1, 3] = 0, 255
    found = open_data(clear).items
    assert found[0, :, 0, 0].tolist() == [0, 0, 0, 0]
    assert found[0, :, 0, 1].tolist() == [*BYTES[0, 0, 1], 255]
    assert np.array_equal(found[1, :3], (PLANES[1].astype(int) * 128 + 127) // 255)
    assert torch.equal(open_data(torch.from_numpy(clear.transpose(0, 3, 1, 2) / 255)).items, found)
    assert "alpha" in said(clear)
    assert open_data(clear, channels=3).items[0, :, 0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.full((2, 8, 8), np.nan), "item 0 of the array holds NaN"),
        (np.where(np.arange(3)[:, None, None] == 2, np.inf, np.zeros((3, 8, 8))), "item 2 of the array holds NaN"),
        (BYTES * 3.0 - 300, "is not in .*undo its normalisation"),
        (BYTES.astype(int) - 300, "is not in 0 to 255"),
        (BYTES[0], "as a single picture has"),
        (torch.zeros(3, 8, 8), "as a single picture has"),
        (BYTES[:0], "is empty"),
        (np.zeros((2, 8, 8, 5)), "not of pictures"),
        (np.zeros((2, 8, 8), complex), "is complex128"),
        ([], "has no items"),
        (5, "a int is not data"),
        ([5, 6], "an item of the data is a int"),
        ([BYTES[0], BYTES[1, :4]], "item 1 is uint8"),
        ([pictures(1)[0], BYTES[0]], "item 1 of the data is a ndarray"),
        ((BYTES, [0, 1]), "6 items but 2 labels"),
        ((pictures(), [0, 1]), "6 items but 2 labels"),
        (DataLoader(TensorDataset(torch.zeros(2, 1, 8, 8))), "has an index"),
        ({"pictures": BYTES}, "no array named 'images'"),
        (np.array([[0.0, np.nan]]), "finite numbers"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_data_is_refused(source: Any, message: str) -> None:
    with pytest.raises(RequestError, match=f"data: .*{message}"):
        open_data(source)


def test_a_stream_is_refused() -> None:
    class Stream(IterableDataset):
        def __iter__(self) -> Any:
            return iter(())

    with pytest.raises(RequestError, match="a Stream gives its items in no order"):
        open_data(Stream())


def test_points() -> None:
    points = RNG.normal(size=(5, 2))
    data = open_data(points)
    assert data.shape == (2,) and np.allclose(data.items, points)
    assert data.name.startswith("points-")
    assert "read as points" in said(RNG.normal(size=(5, 3)))
    assert open_data(list(points)).fingerprint == data.fingerprint


def test_names_are_of_the_content() -> None:
    data = open_data(BYTES)
    assert data.name == f"array-{data.fingerprint[:8]}"
    assert open_data(pictures()).name == f"pictures-{data.fingerprint[:8]}"
    assert open_data(Toys()).name == "Toys"


def test_the_array_may_change_afterwards() -> None:
    given = torch.from_numpy(PLANES.copy())
    data = open_data(given)
    given.zero_()
    assert np.array_equal(data.items, PLANES)


LABELS = [0, 2, 1, 0, 2, 1]
CAPTIONS = ["a cat", "a dog", "two cats", "a red dog", "a bird", "no bird"]


@pytest.mark.parametrize("images", [BYTES, torch.from_numpy(PLANES.copy()), pictures()], ids=["array", "tensor", "pil"])
@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        np.array(LABELS),
        torch.tensor(LABELS),
        np.array(LABELS)[:, None],
        np.eye(3)[LABELS],
        np.array(LABELS, float),
    ],
    ids=["list", "array", "tensor", "column", "one-hot", "float"],
)
def test_images_with_labels(images: Any, labels: Any) -> None:
    data = open_data((images, labels))
    assert data.labels is not None
    assert (data.labels.tolist(), data.class_names) == (LABELS, ("0", "1", "2"))
    assert np.array_equal(data.items, PLANES)


@pytest.mark.parametrize("images", [BYTES, pictures()], ids=["array", "pil"])
def test_images_with_words(images: Any) -> None:
    kinds = ["cat", "dog", "dog", "cat", "cat", "dog"]
    data = open_data((images, kinds))
    assert data.class_names == ("cat", "dog") and data.captions is None
    assert open_data((images, CAPTIONS)).captions == tuple(CAPTIONS)
    assert "(images, labels, None) makes them classes" in said((images, CAPTIONS))
    assert open_data((images, CAPTIONS, None)).classes == 6
    both = open_data((images, kinds, CAPTIONS))
    assert both.class_names == ("cat", "dog") and both.captions == tuple(CAPTIONS)


def test_keras_pairs_have_a_test_split() -> None:
    data = open_data(((BYTES, LABELS), (BYTES[:2], LABELS[:2])), hold_out=0.5)
    assert data.held_out is not None
    assert (len(data), len(data.held_out), data.held_out.split) == (6, 2, "test")


def test_paths_of_which_one_is_broken(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for path, picture in zip(paths, pictures(), strict=True):
        picture.save(path)
    paths[1].write_bytes(b"broken")
    data = open_data((list(map(str, paths)), LABELS, CAPTIONS))
    assert np.array_equal(data.items, PLANES[[0, 2, 3, 4, 5]])
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 0, 2, 1]  # each with its own picture
    assert data.captions == ("a cat", "two cats", "a red dog", "a bird", "no bird")
    assert [file for file, _ in data.origin.unreadable] == [f"item 1 ({paths[1]})"]


def test_pictures_of_any_mode_and_size() -> None:
    mixed = [*pictures(5), pictures(1)[0].resize((20, 10)), pictures(1)[0].convert("CMYK"), Image.new("HSV", (9, 9))]
    assert open_data(mixed, size=8).shape == (3, 8, 8)
    flags = [Image.new("RGBA", (8, 8), (255, 0, 0, 0))] * 3
    assert open_data(flags).items.unique().tolist() == [0] and open_data(flags).shape[0] == 4
    turned = Image.new("RGB", (16, 8), "red")
    turned.getexif()[0x0112] = 6
    assert open_data([turned] * 2).shape == (3, 16, 8)
    deep = [Image.fromarray(item.astype(np.uint16) * 257) for item in GREY]
    assert np.array_equal(open_data(deep).items, GREY[:, None])


class Toys(Dataset):
    """As torchvision's: PIL images with the numbers of classes."""

    classes = ("car", "doll", "ball")

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        self.asked = [*getattr(self, "asked", ()), index]
        return pictures()[index], LABELS[index]


def test_torch_data_sets() -> None:
    toys = Toys()
    data = open_data(toys)
    assert toys.asked == list(range(6))  # once each, in order
    assert data.labels is not None
    assert (data.labels.tolist(), data.class_names) == (LABELS, Toys.classes)
    assert np.array_equal(data.items, PLANES)
    part = open_data(Subset(Toys(), [1, 3]))
    assert part.class_names == Toys.classes and len(part) == 2
    tensors = open_data(TensorDataset(torch.from_numpy(PLANES / 127.5 - 1), torch.tensor(LABELS)))
    assert tensors.fingerprint == open_data((BYTES, LABELS)).fingerprint
    several = open_data([(image, torch.tensor([i % 2, 1, 1])) for i, image in enumerate(BYTES)])
    assert several.attributes is not None and several.attributes["0"].tolist() == [0, 1, 0, 1, 0, 1]
    odd = open_data([(image, {"box": 1}) for image in pictures()])
    assert odd.labels is None and "not used of the data: dict" in odd.origin.notes


def test_an_item_that_cannot_be_read_is_named() -> None:
    class Lost(Toys):
        def __getitem__(self, index: int) -> Any:
            if index == 3:
                raise FileNotFoundError(2, "No such file", "toys/3.png")
            return super().__getitem__(index)

    with pytest.raises(RequestError, match="item 3 of the data cannot be read: No such file"):
        open_data(Lost())


def test_rows_of_tables() -> None:
    rows = [{"img": p, "text": t, "label": n, "id": 1} for p, t, n in zip(pictures(), CAPTIONS, LABELS, strict=True)]
    data = open_data(rows)
    assert data.labels is not None
    assert (data.labels.tolist(), data.captions) == (LABELS, tuple(CAPTIONS))
    assert "not used of the data: id" in data.origin.notes
    named = open_data([{"a": p, "b": t} for p, t in zip(pictures(), CAPTIONS, strict=True)], image="a", caption="b")
    assert named.captions == tuple(CAPTIONS)
    with pytest.raises(RequestError, match="image: the data has no column 'photo'; choose from: img"):
        open_data(rows, image="photo")


def test_a_table_of_datasets() -> None:
    datasets = pytest.importorskip("datasets")
    label = datasets.ClassLabel(names=["car", "doll", "ball"])
    features = datasets.Features({"image": datasets.Image(), "label": label, "caption": datasets.Value("string")})
    table = datasets.Dataset.from_dict({"image": pictures(), "label": LABELS, "caption": CAPTIONS}, features)
    data = open_data(table)
    assert data.labels is not None
    assert (data.labels.tolist(), data.class_names) == (LABELS, ("car", "doll", "ball"))
    assert data.captions == tuple(CAPTIONS)
    assert np.array_equal(data.items, PLANES)
    both = datasets.DatasetDict({"train": table, "test": table.select([0])})
    assert len(open_data(both)) == 6 and len(open_data(both, split="test")) == 1


def test_a_size_for_what_is_in_memory() -> None:
    assert open_data(BYTES, size=4).shape == (3, 4, 4)
    assert open_data(open_data(BYTES), size="8x4", channels=1).shape == (1, 4, 8)


def test_inspecting_and_converting(tmp_path: Path) -> None:
    found = ganvas.inspect((BYTES, LABELS), out=tmp_path / "store", progress=False)
    assert found.counts.counts == {"0": 2, "1": 2, "2": 2}
    assert open_data(str(tmp_path / "store")).fingerprint == found.dataset.fingerprint
