"""Splits and label files as the world has them: what each gives, and what is said of the rest."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import ganvas
from ganvas.data import Dataset, inspect, open_data
from ganvas.data.notes import enlarged
from ganvas.data.options import NoSplit
from ganvas.errors import RequestError
from ganvas.progress import Note
from ganvas.sizes import Size

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "set"


def draw(top: Path, *files: str, first: int = 0) -> None:
    """Grey pictures of 8x8 pixels; the brightness of each is its number."""
    for number, file in enumerate(files, first):
        (top / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number).save(top / file)


def numbers(data: Dataset) -> list[int]:
    return data.items[:, 0, 0, 0].tolist()


def classes(data: Dataset) -> dict[int, str]:
    """The class of each picture, by its number."""
    assert data.labels is not None
    return dict(zip(numbers(data), [data.class_names[label] for label in data.labels.tolist()], strict=True))


def words(data: Dataset) -> dict[int, str]:
    assert data.captions is not None
    return dict(zip(numbers(data), data.captions, strict=True))


def values(data: Dataset, name: str) -> dict[int, float]:
    assert data.attributes is not None
    return dict(zip(numbers(data), data.attributes[name].tolist(), strict=True))


# -- splits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "held"),
    [("train", "val"), ("Training", "Testing"), ("TRAIN", "valid"), ("train", "validation"), ("training", "dev")],
)
@pytest.mark.parametrize("below", ["", "archive/data"])
def test_splits_are_not_classes(top: Path, train: str, held: str, below: str) -> None:
    draw(top / below, f"{train}/cat/a.png", f"{train}/cat/b.png", f"{train}/dog/a.png")
    draw(top / below, f"{held}/cat/a.png", f"{held}/dog/z.png", first=10)
    data = open_data(str(top), hold_out=0.5)
    assert classes(data) == {0: "cat", 1: "cat", 2: "dog"}
    assert data.held_out is not None
    assert (classes(data.held_out), data.held_out.split) == ({10: "cat", 11: "dog"}, "test")
    kind = "test" if held.lower().startswith("test") else "val"
    assert data.origin.splits == (("train", 3), (kind, 2))
    assert f"splits: train 3, {kind} 2" in inspect(str(top)).lines()


def test_an_archive_with_one_folder_at_its_top_has_its_splits(top: Path, tmp_path: Path) -> None:
    draw(top, "train/cat/a.png", "train/dog/a.png", "val/cat/b.png")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in top.rglob("*.png"):
            archive.write(file, f"pets/{file.relative_to(top).as_posix()}")
    assert classes(open_data(str(tmp_path / "a.zip"))) == {0: "cat", 1: "dog"}


def test_of_val_and_test_test_is_held_out_unless_it_has_no_classes(top: Path) -> None:
    draw(
        top, "train/cat/a.png", "train/dog/a.png", "val/cat/a.png", "val/dog/b.png", "test/cat/c.png", "test/dog/d.png"
    )
    assert numbers(open_data(str(top), split="test")) == [4, 5]
    assert "val (2) is not used" in open_data(str(top)).origin.notes[0]
    for name in ("cat/c.png", "dog/d.png"):
        (top / "test" / name).rename(top / "test" / Path(name).name)
    assert numbers(open_data(str(top), split="test")) == [2, 3]
    assert "test (2) is not used, since its pictures have no class" in open_data(str(top)).origin.notes[0]


def test_pictures_in_no_split_are_named(top: Path) -> None:
    draw(top, "train/a.png", "val/b.png", "old/c.png", "d.png")
    data = open_data(str(top))
    assert numbers(data) == [0]
    assert "2 pictures are in no split and are left out ((top), old)" in data.origin.notes[0]


def test_splits_below_the_top_count_where_most_pictures_are(top: Path) -> None:
    draw(top, "preview.png", "data/train/cat/a.png", "data/train/dog/b.png", "data/val/cat/c.png")
    data = open_data(str(top))
    assert (classes(data), data.origin.splits) == ({1: "cat", 2: "dog"}, (("train", 2), ("val", 1)))
    assert "1 pictures are in no split and are left out ((top))" in data.origin.notes[0]
    draw(top, *(f"more/{i}.png" for i in range(5)), first=9)
    assert len(open_data(str(top))) == 9


def test_splits_may_stand_below_classes(top: Path) -> None:
    draw(top, "cat/train/a.png", "dog/train/b.png", "cat/test/c.png", "dog/test/d.png")
    assert classes(open_data(str(top))) == {0: "cat", 1: "dog"}
    assert classes(open_data(str(top), split="test")) == {2: "cat", 3: "dog"}


def test_without_splits_there_is_no_test_split(top: Path) -> None:
    draw(top, "train/a.png", "holiday/b.png")
    assert classes(open_data(str(top))) == {0: "train", 1: "holiday"}
    with pytest.raises(NoSplit):
        open_data(str(top), split="test")


def test_tables_named_after_splits_split(top: Path) -> None:
    draw(top, *(f"images/{i}.png" for i in range(4)))
    (top / "train.csv").write_text("id,label\n0,a\n1,b\n")
    (top / "test.csv").write_text("id,label\n2,b\n3,a\n")
    assert classes(open_data(str(top))) == {0: "a", 1: "b"}
    assert classes(open_data(str(top), split="test")) == {2: "b", 3: "a"}


# -- tables ------------------------------------------------------------------------------------------------------------


def test_a_table_of_the_hub_gives_captions(top: Path) -> None:
    draw(top, "train/a.png", "train/b.png")
    (top / "train" / "metadata.csv").write_text('file_name,text\na.png,a cat\nb.png,"a dog, asleep"\n')
    data = open_data(str(top))
    assert words(data) == {0: "a cat", 1: "a dog, asleep"}
    assert (data.labels, data.origin.notes) == (None, ())


@pytest.mark.parametrize("name", ["celeba.csv", "attributes.tsv"])
@pytest.mark.parametrize("names", ["{}.jpg", "{}", "images/{}.jpg", "/home/me/photos/{}.jpg", "C:\\me\\images\\{}.jpg"])
def test_any_table_with_a_column_of_files_is_read(top: Path, name: str, names: str) -> None:
    draw(top / "images", *(f"{i:03}.jpg" for i in range(4)))
    rows = [["Image_Name", "Male", "Hair_Black", "Age", "Pose"]]
    rows += [
        [names.format(f"{i:03}"), str(i % 2 == 0), "yes" if i < 3 else "no", f"{20 + i}.5", "-1"] for i in range(4)
    ]
    rows[4][4] = "1"
    (top / name).write_text("\n".join(("\t" if name.endswith("tsv") else ",").join(row) for row in rows))
    data = open_data(str(top))
    assert list(values(data, "Male").values()) == [1, 0, 1, 0]
    assert list(values(data, "Hair_Black").values()) == [1, 1, 1, 0]
    assert list(values(data, "Age").values()) == [20.5, 21.5, 22.5, 23.5]
    assert list(values(data, "Pose").values()) == [0, 0, 0, 1]
    assert any("not here: the rest of the path counts" in note for note in data.origin.notes) == (
        ":" in names or "/h" in names
    )


def test_a_table_with_semicolons_and_decimal_commas(top: Path) -> None:
    draw(top, "a.png", "b.png")
    (top / "daten.csv").write_bytes("Datei;Größe;class\na.png;1,5;groß\nb.png;0,25;klein\n".encode("utf-16"))
    data = open_data(str(top))
    assert classes(data) == {0: "groß", 1: "klein"}
    assert values(data, "Größe") == {0: 1.5, 1: 0.25}


def test_a_column_of_words_alone_is_the_class_where_it_repeats(top: Path) -> None:
    draw(top, *(f"{i}.png" for i in range(4)))
    (top / "birds.csv").write_text("id,species\n0,owl\n1,owl\n2,wren\n3,wren\n")
    data = open_data(str(top))
    assert classes(data) == {0: "owl", 1: "owl", 2: "wren", 3: "wren"}
    assert "'species' is taken for the class (2 values)" in data.origin.notes[0]
    (top / "birds.csv").write_text("id,species,place\n0,owl,x\n1,owl,y\n2,wren,x\n3,wren,y\n")
    data = open_data(str(top))
    assert data.labels is None
    assert "birds.csv has no label, caption or number column" in data.origin.notes[0]


def test_what_a_table_holds_and_cannot_be_used_is_named(top: Path) -> None:
    draw(top, "a.png", "b.png")
    rows = [
        {"file_name": "a.png", "text": "x", "objects": {"bbox": [1]}, "by": "me"},
        {"file_name": "c.png", "age": "?"},
    ]
    (top / "metadata.jsonl").write_text("\n".join(map(json.dumps, [*rows, {"file_name": "b.png", "size": 1e300}])))
    (top / "other.csv").write_text("name,price\nfoo,1\n")
    data = open_data(str(top))
    assert words(data) == {0: "x", 1: ""}
    notes = "\n".join(data.origin.notes)
    assert "metadata.jsonl names 1 files that are not here, such as 'c.png'" in notes
    assert "metadata.jsonl: 'by', 'size', 'objects' not used" in notes
    assert "other.csv is not used" in notes


def test_several_rows_a_picture_are_said(top: Path) -> None:
    draw(top, "a.png", "b.png")
    (top / "captions.txt").write_text("image,caption\na.png,one\na.png,two\nb.png,three\n")
    data = open_data(str(top))
    assert words(data) == {0: "one", 1: "three"}
    assert "several captions for 1 pictures: the first of each is used" in data.origin.notes[0]


def test_a_table_that_replaces_another_is_said(top: Path) -> None:
    draw(top, "a.png", "b.png")
    (top / "a.txt").write_text("from the text")
    (top / "metadata.csv").write_text("file_name,text\na.png,from the table\n")
    data = open_data(str(top))
    assert words(data) == {0: "from the table", 1: ""}
    assert "metadata.csv replaces the captions that other files give 1 pictures" in data.origin.notes


def test_columns_can_be_named(top: Path) -> None:
    draw(top, "a.png", "b.png")
    (top / "list.csv").write_text("thumb,photo,alt,text\nb,a.png,a cat,x\na,b.png,a dog,y\n")
    assert words(open_data(str(top), image="photo", caption="alt")) == {0: "a cat", 1: "a dog"}
    with pytest.raises(RequestError, match=r"caption: no table of .* has a column 'title'; choose from 'alt'"):
        open_data(str(top), caption="title")


def test_classes_that_are_numbers_are_in_their_order(top: Path) -> None:
    draw(top, *(f"{i}.png" for i in range(3)))
    (top / "labels.csv").write_text("file,label\n0.png,10\n1.png,9.0\n2.png,10\n")
    data = open_data(str(top))
    assert (data.class_names, classes(data)) == (("9", "10"), {0: "10", 1: "9", 2: "10"})
    (top / "labels.csv").write_text("file,label\n0.png,0.5\n1.png,9\n2.png,10\n")
    assert values(open_data(str(top)), "label") == {0: 0.5, 1: 9, 2: 10}


def test_names_of_pictures_that_are_not_here_mean_no_other(top: Path) -> None:
    draw(top, "train/0.png", "train/1.png", "val/2.png")
    (top / "labels.csv").write_text("file,label\nval/0.png,a\nval/1.png,b\nval/2.png,c\n")
    data = open_data(str(top))
    assert data.labels is None
    assert any("names 2 files that are not here, such as 'val/0.png'" in note for note in data.origin.notes)
    (top / "labels.csv").write_text("file,label\nval/0.png,a\nval/1.png,b\n")
    with pytest.raises(RequestError, match="none of the 2 files that"):
        open_data(str(top))


def test_boxes_of_detectors_are_not_captions(top: Path) -> None:
    draw(top, "a.png", "b.png")
    (top / "a.txt").write_text("0 0.5 0.5 0.25 0.1\n1 0.1 0.1 0.2 0.2\n")
    data = open_data(str(top))
    assert data.captions is None
    assert "hold boxes of a detector" in data.origin.notes[0]


# -- StyleGAN's and CelebA's -------------------------------------------------------------------------------------------


def test_stylegans_labels_are_classes(top: Path) -> None:
    draw(top, "00000/img0.png", "00000/img1.png", "00001/img2.png")
    labels = [["00000/img0.png", 3], ["00000/img1.png", 12], ["00001/img2.png", 3]]
    (top / "dataset.json").write_text(json.dumps({"labels": labels}))
    data = open_data(str(top))
    assert (data.class_names, classes(data)) == (("3", "12"), {0: "3", 1: "12", 2: "3"})
    assert "not the 2 folders (00000, 00001)" in data.origin.notes[0]


def test_stylegans_vectors_are_classes_or_attributes(top: Path) -> None:
    draw(top, "a.png", "b.png")
    (top / "dataset.json").write_text(json.dumps({"labels": [["a.png", [0, 1, 0]], ["b.png", [1, 0, 0]]]}))
    assert classes(open_data(str(top))) == {0: "1", 1: "0"}
    (top / "dataset.json").write_text(json.dumps({"labels": {"a.png": [0.5, 1], "b.png": [2, -3.25]}}))
    assert values(open_data(str(top)), "label 1") == {0: 1, 1: -3.25}
    (top / "dataset.json").write_text('{"labels": null}')
    data = open_data(str(top))
    assert (data.labels, data.attributes) == (None, None)
    assert "dataset.json holds no labels (null)" in data.origin.notes[0]
    (top / "dataset.json").write_text('{"labels": [["a.png", [1, 0]], ["b.png", 3]]}')
    assert "of different kinds and lengths" in open_data(str(top)).origin.notes[0]


@pytest.mark.parametrize("folder", ["img_align_celeba", "Img/img_align_celeba", "img_align_celeba/img_align_celeba"])
def test_celebas_lists(top: Path, folder: str) -> None:
    files = [f"{i:06}.jpg" for i in range(1, 5)]
    draw(top / folder, *files)
    rows = [f"{file} {' '.join(['-1', ' 1'][(i >> k) & 1] for k in range(2))}" for i, file in enumerate(files)]
    (top / "list_attr_celeba.txt").write_text("\n".join(["4", "Male Smiling", *rows]))
    (top / "list_eval_partition.txt").write_text(
        "\n".join(f"{file} {i}" for file, i in zip(files, "0012", strict=True))
    )
    (top / "identity_CelebA.txt").write_text("\n".join(f"{file} {i}" for i, file in enumerate(files, 2880)))
    data, test = open_data(str(top)), open_data(str(top), split="test")
    assert (len(data), numbers(test), data.labels) == (2, [3], None)
    assert (values(data, "Male"), values(data, "Smiling")) == ({0: 0, 1: 1}, {0: 0, 1: 0})
    assert values(test, "identity") == {3: 2883}
    if folder == "img_align_celeba":
        assert (
            "list_attr_celeba.txt beside img_align_celeba/ is not read" in open_data(str(top / folder)).origin.notes[0]
        )
    assert data.origin.splits == (("train", 2), ("val", 1), ("test", 1))
    (top / "list_attr_celeba.txt").write_text("4\nMale Smiling\n000001.jpg -1\n")
    assert "'000001.jpg' in" in (note := open_data(str(top)).origin.notes[-1]) and "1 values for 2 names" in note


# -- what is said ------------------------------------------------------------------------------------------------------


def test_pictures_of_other_kinds_are_counted(top: Path) -> None:
    draw(top, "a.png")
    for name in ("b.CR2", "c.nef", "d.nef", "e.svg", "f.mp4", "g.jxl"):
        (top / name).write_bytes(b"x")
    (note,) = open_data(str(top)).origin.notes
    assert note.startswith("left out for their format: 2 .nef, 1 .cr2, 1 .svg, 1 .mp4, 1 .jxl; save them as PNG")
    (top / "a.png").unlink()
    with pytest.raises(RequestError, match=r"contains no images \(left out for their format: 2 \.nef"):
        open_data(str(top))


@pytest.mark.parametrize(
    ("forms", "size", "note"),
    [
        (
            [(320, 448)],
            224,
            "pictures are 320x448: the middle square is used and 29% of each is cut off; give size=160x224 to",
        ),
        ([(320, 448)], None, "they are kept as 160x224, whole; a square would cut off 29% of each"),
        ([(320, 448)], "64x32", "the middle in the shape of 64x32 is used and 64% of each is cut off"),
        ([(100, 100), (100, 200), (300, 100)], None, "39% of each is cut off on average, and up to 67%; crop them"),
        ([(100, 100), (90, 90)], 64, ""),
    ],
)
def test_what_a_size_cuts_off_is_said(top: Path, forms: list, size: object, note: str) -> None:
    top.mkdir()
    for i, form in enumerate(forms):
        Image.new("L", form).save(top / f"{i}.png")
    assert note in "".join(open_data(str(top), size=size).origin.notes)


def test_the_report_says_what_was_understood(top: Path) -> None:
    draw(top, *(f"train/{'cat' if i else 'dog'}/{i}.png" for i in range(23)), "val/cat/x.png")
    (top / "train" / "cat" / "1.txt").write_text("a cat\x1b[2J")
    (top / "train" / "cat" / "2.txt").write_text("another cat")
    lines = inspect(str(top)).lines()
    assert "splits: train 23, val 1" in lines
    assert (
        "imbalance: 'cat' has 22 times as many items as 'dog' (22 and 1): samples of rare classes are poorer" in lines
    )
    assert r"captions: 2, such as 'a cat\x1b[2J' and 'another cat'" in lines


def test_training_says_once_what_reading_left_out(top: Path, tmp_path: Path) -> None:
    draw(top, *(f"{i}.png" for i in range(8)))
    (top / "x.psd").write_bytes(b"x")
    options = {"monitor_every": 0}
    steps = ganvas.train.steps("mlp", str(top), out=tmp_path / "run", steps=1, batch=4, device="cpu", options=options)
    said = [progress.what for progress in steps if isinstance(progress, Note)]
    assert [text for text in said if ".psd" in text] == [
        "data: left out for their format: 1 .psd; save them as PNG or JPEG to use them"
    ]


def test_the_report_can_be_asked_how_else_data_are_read(top: Path) -> None:
    draw(top, "a.png", "b.png")
    (top / "list.csv").write_text("file,alt\na.png,one\nb.png,two\n")
    found = ganvas.inspect(str(top), options={"caption": "alt", "size": "16x8", "channels": "3"}, progress=False)
    assert (found.dataset.captions, found.dataset.shape) == (("one", "two"), (3, 8, 16))
    for options, message in (
        ({"capton": "alt"}, "did you mean caption"),
        ({"channels": "x"}, "'x' is not a number"),
        ({"size": "6x"}, "'6x' is not a size"),
        ({"size": 8}, "open already"),
    ):
        with pytest.raises(RequestError, match=message):
            ganvas.inspect(found.dataset if message == "open already" else str(top), options=options, progress=False)


def test_pictures_that_are_enlarged_are_counted() -> None:
    assert "1 of 2 pictures are smaller than 16x8 and are enlarged" in enlarged([(8, 8), (20, 10)], Size(16, 8))[0]
    assert enlarged([(16, 8)], Size(16, 8)) == ()
