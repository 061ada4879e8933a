"""Tables of pictures: Parquet, Arrow, and what `datasets` saves; which column is what, and what is refused."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import ClassLabel, Features, Image, List, Value
from PIL import Image as Pillow
from pyarrow import parquet

from ganvas.data import Dataset, open_data, opening, table_rows
from ganvas.data.options import NoSplit, Options
from ganvas.errors import RequestError
from ganvas.progress import Progress

CLASSES = ["zebra", "ant", "cat"]  # not in the order of the alphabet


pytestmark = pytest.mark.usefixtures("own_cache")


def picture(level: int, kind: str = "PNG") -> bytes:
    """A grey picture of 8x8 pixels, all of one level."""
    buffer = io.BytesIO()
    Pillow.new("L", (8, 8), level).save(buffer, kind)
    return buffer.getvalue()


def levels(data: Dataset) -> list[int]:
    """The level of each picture."""
    assert (data.items == data.items[:, :1, :1, :1]).all()
    return data.items[:, 0, 0, 0].tolist()


def hub_table(numbers: Sequence[int]) -> datasets.Dataset:
    """Rows as the hub has them: row i has level i, the class i % 3, a caption, a number, and an address."""
    columns = {
        "url": [f"http://x/{i}" for i in numbers],
        "image": [{"bytes": picture(i), "path": f"{i}.png"} for i in numbers],
        "label": [i % 3 for i in numbers],
        "text": [f"picture {i}" for i in numbers],
        "likes": [i * 10 for i in numbers],
    }
    features = Features(
        url=Value("string"), image=Image(), label=ClassLabel(names=CLASSES), text=Value("string"), likes=Value("int64")
    )
    return datasets.Dataset.from_dict(columns, features=features)


def check(data: Dataset, numbers: Sequence[int]) -> None:
    """That the data are those of `hub_table`."""
    assert levels(data) == list(numbers)
    assert (data.class_names, data.shape) == (tuple(CLASSES), (1, 8, 8))
    assert data.labels is not None and data.labels.tolist() == [i % 3 for i in numbers]
    assert data.captions == tuple(f"picture {i}" for i in numbers)
    assert data.attributes is not None and data.attributes["likes"].tolist() == [i * 10 for i in numbers]
    assert [*data.attributes] == ["likes"]
    assert any("columns not used: url (text)" in note for note in data.origin.notes)


def write(path: Path, **columns: Any) -> Path:
    """A Parquet file without the hub's metadata."""
    parquet.write_table(pa.table(columns), path, write_page_checksum=True)
    return path


def test_a_parquet_of_the_hub(tmp_path: Path) -> None:
    hub_table(range(10)).to_parquet(tmp_path / "birds.parquet")
    data = open_data(str(tmp_path / "birds.parquet"))
    check(data, range(10))
    assert (data.name, data.origin.place) == ("birds", str(tmp_path / "birds.parquet"))
    with pytest.raises(NoSplit):
        open_data(str(tmp_path / "birds.parquet"), split="test")


def test_a_folder_of_parquet_has_the_splits_of_its_file_names(tmp_path: Path) -> None:
    folder = tmp_path / "birds" / "data"
    folder.mkdir(parents=True)
    for name, numbers in {
        "train-00000-of-00002": range(4),
        "train-00001-of-00002": range(4, 9),
        "validation-00000-of-00001": range(20, 23),
    }.items():
        hub_table(numbers).to_parquet(folder / f"{name}.parquet")
    data = open_data(str(tmp_path / "birds"), hold_out=0.5)
    check(data, range(9))
    assert data.held_out is not None
    check(data.held_out, range(20, 23))
    assert dict(data.origin.splits) == {"train": 9, "validation": 3}


def test_what_save_to_disk_wrote(tmp_path: Path) -> None:
    hub_table(range(5)).save_to_disk(tmp_path / "one", num_shards=2)
    check(open_data(str(tmp_path / "one")), range(5))
    parts = datasets.DatasetDict(
        {"train": hub_table(range(6)), "test": hub_table(range(30, 33)), "extra": hub_table([50])}
    )
    parts.save_to_disk(tmp_path / "several")
    data = open_data(str(tmp_path / "several"))
    check(data, range(6))
    assert any("the split extra" in note for note in data.origin.notes)
    check(open_data(str(tmp_path / "several"), split="test"), range(30, 33))
    check(open_data(str(next((tmp_path / "one").glob("*.arrow")))), range(3))


def test_an_arrow_file_in_the_format_for_any_order(tmp_path: Path) -> None:
    table = hub_table(range(3)).data.table
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    check(open_data(str(tmp_path / "a.arrow")), range(3))


@pytest.mark.parametrize(
    "cells",
    [
        [picture(7), picture(9, "JPEG")],
        pa.array([{"bytes": picture(7), "path": "a"}, {"bytes": picture(9), "path": None}]),
        pa.array([list(picture(7)), list(picture(9))], pa.list_(pa.uint8())),
    ],
    ids=["bytes", "struct", "list"],
)
def test_pictures_are_found_by_their_content(tmp_path: Path, cells: Any) -> None:
    data = open_data(str(write(tmp_path / "a.parquet", other=[b"x", b"y"], shot=cells, n=[1.5, None])))
    assert levels(data) == [7, 9]
    assert (data.labels, data.captions) == (None, None)
    assert data.attributes is not None and data.attributes["n"][0] == 1.5 and data.attributes["n"][1].isnan()
    assert any("other (something else)" in note for note in data.origin.notes)


def test_labels_are_words_numbers_or_missing(tmp_path: Path) -> None:
    pictures = [picture(i) for i in range(4)]
    words = open_data(str(write(tmp_path / "a.parquet", image=pictures, category=["b", None, "a", "b"])))
    assert words.class_names == ("a", "b", "unlabelled")
    assert words.labels is not None and words.labels.tolist() == [1, 2, 0, 1]
    numbers = open_data(str(write(tmp_path / "b.parquet", image=pictures, label=[10, 9, 2, 2])))
    assert numbers.class_names == ("2", "9", "10")
    features = Features(image=Image(), label=ClassLabel(names=CLASSES))
    columns = {"image": [{"bytes": it, "path": None} for it in pictures], "label": [-1, 2, 0, -1]}
    datasets.Dataset.from_dict(columns, features=features).to_parquet(tmp_path / "c.parquet")
    missing = open_data(str(tmp_path / "c.parquet"))  # -1 is the hub's "no label"
    assert missing.class_names == (*CLASSES, "unlabelled")
    assert missing.labels is not None and missing.labels.tolist() == [3, 2, 0, 3]


def test_words_are_numbered_like_those_of_the_training_split(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder / "train.parquet", image=[picture(1), picture(2)], label=["m", "p"])
    write(folder / "test.parquet", image=[picture(3), picture(4)], label=["p", "a"])
    train, test = open_data(str(folder)), open_data(str(folder), split="test")
    assert (train.class_names, test.class_names) == (("m", "p"), ("m", "p", "a"))
    assert test.labels is not None and test.labels.tolist() == [1, 2]


def test_of_two_columns_the_first_is_taken_and_a_note_says_how_to_choose(tmp_path: Path) -> None:
    place = str(
        write(
            tmp_path / "a.parquet",
            front=[picture(1), picture(2)],
            back=[picture(3), picture(4)],
            caption=["one", "two"],
            text=["eins", "zwei"],
            bruit=["x", "y"],
            label=[0, 1],
            category=["u", "v"],
        )
    )
    data = open_data(place)
    assert (levels(data), data.captions, data.class_names) == ([1, 2], ("one", "two"), ("0", "1"))
    notes = "\n".join(data.origin.notes)
    assert "image=back" in notes and "caption=text" in notes and "bruit (text)" in notes and "'category'" in notes
    other = open_data(place, image="back", caption="bruit")
    assert (levels(other), other.captions) == ([3, 4], ("x", "y"))
    with pytest.raises(RequestError, match=r"image: .* has no column 'side'; choose from front, back"):
        open_data(place, image="side")
    with pytest.raises(RequestError, match=r"caption: the column 'label' of .* holds whole numbers"):
        open_data(place, caption="label")


def test_the_first_of_several_captions(tmp_path: Path) -> None:
    features = Features(image=Image(), sentences=List(Value("string")))
    columns = {"image": [{"bytes": picture(1), "path": None}], "sentences": [["one", "two"]]}
    datasets.Dataset.from_dict(columns, features=features).to_parquet(tmp_path / "a.parquet")
    assert open_data(str(tmp_path / "a.parquet")).captions == ("one",)


def test_rows_without_a_picture_are_named(tmp_path: Path) -> None:
    cells = pa.array(
        [{"bytes": picture(5), "path": ""}, {"bytes": None, "path": "/etc/passwd"}, None, {"bytes": b"x", "path": ""}]
    )
    data = open_data(str(write(tmp_path / "a.parquet", image=cells, text=["a", "b", "c", "d"])))
    assert (levels(data), data.captions) == ([5], ("a",))
    assert [file for file, _ in data.origin.unreadable] == ["row 1", "row 2", "row 3"]
    assert "the path of the picture (/etc/passwd)" in data.origin.unreadable[0][1]


def test_tables_without_pictures_are_refused(tmp_path: Path) -> None:
    place = str(write(tmp_path / "a.parquet", url=["http://x/a.png"], n=[1]))
    with pytest.raises(RequestError, match=r"has no column of pictures among url \(text\), n \(whole numbers\)"):
        open_data(place)
    with pytest.raises(RequestError, match="has no rows"):
        open_data(str(write(tmp_path / "b.parquet", image=pa.array([], pa.binary()))))
    (tmp_path / "c.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RequestError, match="cannot be read as a table"):
        open_data(str(tmp_path / "c.parquet"))


def test_the_library_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = str(write(tmp_path / "a.parquet", image=[picture(1)]))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RequestError, match=r"pip install 'ganvas\[hub\]'"):
        open_data(place)


def test_a_second_opening_reads_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = str(write(tmp_path / "a.parquet", image=[picture(1), picture(2)]))
    reports = list(opening(place, Options()))
    assert {report.what for report in reports if isinstance(report, Progress)} >= {"reading files"}
    monkeypatch.setattr(table_rows, "Part", None)
    assert levels(open_data(place)) == [1, 2]
    write(tmp_path / "a.parquet", image=[picture(3)])
    with pytest.raises(AttributeError):  # it is another file now
        open_data(place)


def test_rows_are_read_in_any_order(tmp_path: Path) -> None:
    table = pa.table({"image": [picture(i) for i in range(200)]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=60)
    rows = table_rows.Rows([tmp_path / "a.parquet"], "a")
    rows.column = "image"
    order = [*range(0, 200, 7), 199, 0, 120, 119, 60, *np.random.default_rng(0).integers(0, 200, 50).tolist()]
    assert [rows.read(f"row {i}") for i in order] == [picture(i) for i in order]


def test_rows_after_damage_are_named_and_those_before_it_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", image=[picture(i) for i in range(64)])
    table = parquet.read_table(path)
    parquet.write_table(table, path, row_group_size=32, write_page_checksum=True, use_dictionary=False)
    start = parquet.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[start + 200] ^= 255
    path.write_bytes(data)
    opened = open_data(str(path))
    assert levels(opened) == list(range(32))
    assert {reason for _, reason in opened.origin.unreadable} == {"damaged in the table"}
    assert len(opened.origin.unreadable) == 32
    assert opened.labels is None and isinstance(opened.items, torch.Tensor)
