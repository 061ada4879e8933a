"""Folders and archives of pictures: classes, words, sizes, what is skipped and what is refused."""

from __future__ import annotations

import json
import os
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.data import Dataset, folder, inspect, open_data, opening, pool, tree, worker
from ganvas.errors import RequestError
from ganvas.progress import Progress, Steps

COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """pictures/{red,lime,blue}/{0,1}.png, each of one colour, 20x16."""
    top = tmp_path / "pictures"
    for name, colour in COLOURS.items():
        (top / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (20, 16), colour).save(top / name / f"{i}.png")
    return top


def watched(steps: Steps[Dataset], reports: list[Progress]) -> Dataset:
    """The result of the steps; adds what they report."""
    while True:
        try:
            reports.append(next(steps))
        except StopIteration as end:
            return end.value


def zipped(source: Path, target: Path, below: str = "", method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(target, "w", method) as archive:
        for file in sorted(source.rglob("*.*")):
            archive.write(file, below + file.relative_to(source).as_posix())
    return target


def test_sub_folders_are_classes(pictures: Path) -> None:
    data = open_data(str(pictures))
    assert data.labels is not None
    assert (data.shape, data.class_names) == ((3, 16, 20), ("blue", "lime", "red"))
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    for item, label in zip(data.items, data.labels.tolist(), strict=True):
        assert tuple(item[:, 3, 3].tolist()) == COLOURS[data.class_names[label]]


@pytest.mark.parametrize("below", ["", "all/of/it/"])
def test_an_archive_is_the_folder(pictures: Path, tmp_path: Path, below: str) -> None:
    archive = zipped(pictures, tmp_path / "pictures.zip", below)
    data, same = open_data(str(archive)), open_data(str(pictures))
    assert torch.equal(data.items, same.items)
    assert data.fingerprint == same.fingerprint
    assert data.class_names == same.class_names


@pytest.mark.parametrize(("sides", "size"), [((16, 20, 900), 16), ((70, 130, 140), 128), ((3, 4, 5), 8), ((999,), 256)])
def test_the_size_is_the_power_of_two_below_the_median_short_side(tmp_path: Path, sides: tuple, size: int) -> None:
    for i, side in enumerate(sides):
        Image.new("L", (side, side + 50)).save(tmp_path / f"{i}.png")
    assert open_data(str(tmp_path)).shape == (1, size, size)


def test_the_size_and_channels_wanted_win(pictures: Path) -> None:
    assert open_data(str(pictures), size=24, channels=1).shape == (1, 24, 24)


def test_grey_stays_grey_until_one_picture_has_colour(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), "gray").save(tmp_path / "a.png")
    Image.new("LA", (16, 16), (9, 99)).save(tmp_path / "b.png")
    assert open_data(str(tmp_path)).shape == (1, 16, 16)
    Image.new("RGB", (16, 16), "red").save(tmp_path / "c.png")
    assert open_data(str(tmp_path)).shape == (3, 16, 16)
    assert inspect(str(tmp_path)).counts == {}


def test_damaged_files_are_named_and_skipped_and_duplicates_counted(pictures: Path) -> None:
    whole = (pictures / "red" / "0.png").read_bytes()
    (pictures / "red" / "2.png").write_bytes(whole[: len(whole) // 2])
    (pictures / "red" / "3.jpg").write_bytes(b"")
    (pictures / "red" / "link.png").symlink_to("nowhere.png")
    (pictures / "red" / ".hidden.png").write_bytes(b"junk")
    report = inspect(str(pictures))
    assert [file for file, _ in report.unreadable] == ["red/2.png", "red/3.jpg", "red/link.png"]
    assert dict(report.unreadable)["red/3.jpg"] == "empty file"
    assert report.duplicates == 3
    assert report.counts == {"blue": 2, "lime": 2, "red": 2}
    text = "\n".join(report.lines())
    for fact in ("6 images 3x16x20", "blue 2", "unreadable: 3: red/2.png", "duplicates: 3", "20x16"):
        assert fact in text


@pytest.mark.parametrize("name", ["A.PNG", "a.JPeG", "a.jfif"])
def test_pictures_are_known_by_their_suffix_however_it_is_written(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (16, 16), "white").save(tmp_path / "saved.png")
    (tmp_path / "saved.png").rename(tmp_path / name)  # its content says what it is
    assert len(open_data(str(tmp_path))) == 1


def test_no_name_moves_the_cursor_or_ends_a_line(pictures: Path) -> None:
    (pictures / "red").rename(pictures / "red\n\x1b[2J")
    (pictures / "blue" / "\u202egnp.png").write_bytes(b"no image")
    lines = inspect(str(pictures)).lines()
    assert all(line.isprintable() for line in lines)
    assert r"classes: 3 (blue 2, lime 2, red\n\x1b[2J 2)" in lines
    assert any(r"blue/\u202egnp.png (not an image)" in line for line in lines)


def test_a_link_to_a_folder_is_followed_but_not_in_circles(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    Image.new("RGB", (20, 16), "white").save(tmp_path / "elsewhere" / "0.png")
    (pictures / "white").symlink_to(tmp_path / "elsewhere")
    (pictures / "red" / "circle").symlink_to(pictures)
    (pictures / "lime" / "own").symlink_to(".")
    data = open_data(str(pictures))
    assert data.labels is not None
    assert (data.class_names, data.labels.tolist()) == (("blue", "lime", "red", "white"), [0, 0, 1, 1, 2, 2, 3])


def test_a_folder_that_cannot_be_listed_is_named(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def denied(path: str) -> Any:
        if Path(path).name == "red":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(RequestError, match="red cannot be listed: Permission denied"):
        open_data(str(pictures))


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes in folders")
def test_what_is_no_file_is_not_waited_for(pictures: Path) -> None:
    os.mkfifo(pictures / "red" / "2.png")
    assert inspect(str(pictures)).unreadable == (("red/2.png", "not a file"),)


def test_train_and_test_folders_are_splits(pictures: Path, tmp_path: Path) -> None:
    top = tmp_path / "data"
    (top / "test" / "red").mkdir(parents=True)
    Image.new("RGB", (16, 16), "white").save(top / "test" / "red" / "a.png")
    pictures.rename(top / "train")
    train, test = open_data(str(top)), open_data(str(top), split="test")
    assert (len(train), train.class_names) == (6, ("blue", "lime", "red"))
    assert (len(test), test.class_names) == (1, train.class_names)
    assert train.labels is not None and test.labels is not None
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 0, 1, 1, 2, 2], [2])
    assert (test.items == 255).all()


def test_labels_from_words_are_numbered_over_both_splits(pictures: Path, tmp_path: Path) -> None:
    top = tmp_path / "data"
    (top / "test").mkdir(parents=True)
    for name in "ab":
        Image.new("RGB", (16, 16), "white").save(top / "test" / f"{name}.png")
    pictures.rename(top / "train")
    train, test = open_data(str(top)), open_data(str(top), split="test")
    assert (train.class_names, test.class_names, test.labels) == (("blue", "lime", "red"), (), None)  # none in test
    (top / "labels.csv").write_text("file,label\ntrain/red/0.png,warm\ntest/a.png,cold\ntest/b.png,warm\n")
    train, test = open_data(str(top)), open_data(str(top), split="test")
    assert (train.class_names, test.class_names) == (("cold", "warm", "unlabelled"), ("cold", "warm"))
    assert train.labels is not None and test.labels is not None
    assert (train.labels.tolist(), test.labels.tolist()) == ([2, 2, 2, 2, 1, 2], [0, 1])


def test_captions_labels_and_attributes_from_words(pictures: Path) -> None:
    (pictures / "red" / "0.txt").write_text("a red field\nfr: un champ rouge\n", encoding="utf-8")
    (pictures / "README.txt").write_text("not about any picture")
    rows = [{"file_name": "0.png", "text": "a blue field"}, {"file": "1.png", "caption": "blue again"}]
    (pictures / "blue" / "captions.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    (pictures / "labels.csv").write_text("file,label,warmth,note\nred/0.png,warm,0.9,x\nblue/0.png,cold,0.1,y\n")
    data = open_data(str(pictures))
    assert data.captions == ("a blue field", "blue again", "", "", "a red field", "")
    assert data.class_names == ("cold", "warm", "unlabelled")
    assert data.labels is not None
    assert data.labels.tolist() == [0, 2, 2, 2, 1, 2]
    assert data.attributes is not None
    assert list(data.attributes) == ["warmth"]
    assert data.attributes["warmth"][[0, 4]].tolist() == pytest.approx([0.1, 0.9])
    assert data.attributes["warmth"].isnan().sum() == 4


def test_a_text_is_the_caption_of_every_picture_named_like_it(pictures: Path) -> None:
    Image.new("RGB", (20, 16), "red").save(pictures / "red" / "0.webp")
    (pictures / "red" / "0.xml").write_text("<notes/>")
    (pictures / "red" / "0.txt").write_text("a red field")
    (pictures / "lime" / "1.TXT").write_text("a green field")
    data = open_data(str(pictures))
    assert data.captions == ("", "", "", "a green field", "a red field", "a red field", "")


def test_a_line_of_captions_ends_at_a_line_feed_alone(pictures: Path) -> None:
    rows = [{"file": "red/0.png", "caption": "red\u2028\x85field"}, {"file": "red/1.png", "caption": "again"}]
    lines = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (pictures / "captions.jsonl").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert open_data(str(pictures)).captions == ("", "", "", "", "red\u2028\x85field", "again")


@pytest.mark.parametrize("name", ["red/0.txt", "captions.jsonl", "labels.csv"])
def test_words_are_refused_where_their_letters_would_be_lost(pictures: Path, name: str) -> None:
    (pictures / name).write_bytes("file,label\nred/0.png,gelée\nred/1.png,gelèe\n".encode("latin-1"))
    with pytest.raises(RequestError, match=rf"{name} is not UTF-8: .*; save it as UTF-8"):
        open_data(str(pictures))
    (pictures / name).unlink()
    (pictures / name).symlink_to("nowhere")
    with pytest.raises(RequestError, match=rf"{name} cannot be read"):
        open_data(str(pictures))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_read_as_spreadsheets_write_it(pictures: Path, end: str) -> None:
    rows = ["File, Label,Warmth", 'red/0.png, warm ,"0.9"', 'blue/0.png,"cold, wet",0.1,', ",,", ""]
    (pictures / "labels.csv").write_bytes(end.join(rows).encode())
    data = open_data(str(pictures))
    assert data.labels is not None
    assert (data.class_names, data.labels.tolist()) == (("cold, wet", "warm", "unlabelled"), [0, 2, 2, 2, 1, 2])
    assert list(data.attributes or ()) == ["Warmth"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("captions.jsonl", '{"file": "a.png"\n', "line 1 of .*captions.jsonl is not JSON"),
        ("captions.jsonl", "[1]\n", "not a JSON object"),
        ("captions.jsonl", '{"caption": "x"}\n', "names no file"),
        (
            "captions.jsonl",
            '{"file": "0.png", "text": "x"}\n',
            r"none of the 1 files that .* names exists, such as '0\.png'; give their paths",
        ),
        ("captions.jsonl", '{"file": "red/0.png", "title": "x"}\n', "captions.jsonl has no label, caption or number"),
        ("labels.csv", "file,title\nred/0.png,warm\n", "labels.csv has no label, caption or number"),
        ("labels.csv", "red/0.png,warm\nblue/0.png,cold\n", "no column 'file'"),
        ("labels.csv", "file,caption\nred/0.png,red, and flat\n", "'red/0.png' in .*labels.csv has 3 cells under 2"),
        ("labels.csv", 'file,caption\nred/0.png,"red\nblue/0.png,blue\n', "labels.csv cannot be read as a table"),
    ],
)
def test_annotations_that_cannot_be_read_are_named(pictures: Path, name: str, text: str, message: str) -> None:
    (pictures / name).write_text(text)
    with pytest.raises(RequestError, match=message):
        open_data(str(pictures))


def test_decoding_happens_once_until_a_file_changes(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[Progress] = []
    first = watched(opening(str(pictures)), reports)
    assert reports[-6:] == [Progress("reading files", i, 6) for i in range(1, 7)]
    monkeypatch.setattr(worker, "decode", None)
    reports.clear()
    again = watched(opening(str(pictures)), reports)
    assert reports == []
    assert torch.equal(again.items, first.items)
    assert (again.fingerprint, again.origin) == (first.fingerprint, first.origin)
    monkeypatch.undo()
    Image.new("RGB", (20, 16), "white").save(pictures / "red" / "0.png")
    changed = open_data(str(pictures))
    assert changed.fingerprint != first.fingerprint


@pytest.mark.parametrize("reports", [1, 7, 9])  # closed while sizes are read, and while files are
def test_closing_cancels_and_leaves_nothing_half_done(pictures: Path, own_cache: Path, reports: int) -> None:
    filters = list(warnings.filters)
    steps = opening(str(pictures))
    found = [next(steps) for _ in range(reports)]
    assert found[-1].what == ("reading sizes" if reports < 7 else "reading files")
    assert warnings.filters == filters  # between two reports the caller's own hold
    steps.close()
    assert not list(own_cache.rglob("*.npy"))
    assert len(open_data(str(pictures))) == 6


def test_a_file_that_could_not_be_read_is_tried_again_when_it_is_fixed(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: tree.Folder, file: str) -> bytes:
        raise PermissionError(13, "Permission denied")

    read = tree.Folder.read
    with monkeypatch.context() as patch:
        patch.setattr(tree.Folder, "read", lambda self, file: (denied if "red" in file else read)(self, file))
        assert len(open_data(str(pictures))) == 4
    for file in (pictures / "red").iterdir():
        file.chmod(0o640)  # changes neither its size nor when it was written
    assert len(open_data(str(pictures))) == 6


def test_a_copy_says_where_it_comes_from(pictures: Path, tmp_path: Path) -> None:
    archive, again = zipped(pictures, tmp_path / "pictures.zip"), tmp_path / "again" / "pictures.zip"
    again.parent.mkdir()
    again.write_bytes(archive.read_bytes())
    assert [open_data(str(path)).origin.place for path in (archive, again)] == [str(archive), str(again)]


def test_decoding_is_the_same_whatever_the_chunks(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_data(str(pictures))
    monkeypatch.setattr(pool, "AT_ONCE", 2)
    monkeypatch.setattr(folder, "VERSION", -1)  # another place in the cache
    assert torch.equal(open_data(str(pictures)).items, first.items)


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="contains no images"):
        (tmp_path / "empty").mkdir()
        open_data(str(tmp_path / "empty"))
    (tmp_path / "empty" / "a.png").write_bytes(b"no image")
    with pytest.raises(RequestError, match=r"none of the 1 images .*\(a.png: not an image\)"):
        open_data(str(tmp_path / "empty"))


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "b/../../a.png", "C:/a.png", "..\\a.png"])
def test_an_archive_whose_names_leave_it_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(RequestError, match="leaves the archive"):
        open_data(str(tmp_path / "a.zip"))


def test_an_archive_with_links_or_bombs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = zipfile.ZipInfo("a.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(RequestError, match="is a link"):
        open_data(str(tmp_path / "link.zip"))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(1000))
    monkeypatch.setattr("ganvas.data.tree.MAX_FILE", 999)
    with pytest.raises(RequestError, match="decompression bomb"):
        open_data(str(tmp_path / "bomb.zip"))
    (tmp_path / "broken.zip").write_bytes(b"PK not really")
    with pytest.raises(RequestError, match=r"cannot be read as a \.zip"):
        open_data(str(tmp_path / "broken.zip"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_entries_with_one_name_the_last_is_read_once(pictures: Path, tmp_path: Path) -> None:
    archive = zipped(pictures, tmp_path / "a.zip")
    with zipfile.ZipFile(archive, "a") as more:
        more.write(pictures / "red" / "0.png", "blue/1.png")
    data = open_data(str(archive))
    assert data.labels is not None
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert [item[:, 0, 0].tolist() for item in data.items[:3]] == [[0, 0, 255], [255, 0, 0], [0, 255, 0]]


def test_an_archive_of_windows_has_its_folders_too(pictures: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted(pictures.rglob("*.png")):
            name = zipfile.ZipInfo("x")
            name.filename = ".\\" + file.relative_to(pictures).as_posix().replace("/", "\\")
            archive.writestr(name, file.read_bytes())
        archive.writestr("captions.jsonl", '{"file": "red/0.png", "caption": "a red field"}')
    data = open_data(str(tmp_path / "a.zip"))
    assert (data.class_names, data.captions) == (("blue", "lime", "red"), ("", "", "", "", "a red field", ""))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_entry_is_skipped_however_it_was_packed(pictures: Path, tmp_path: Path, method: int) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    noise.save(pictures / "blue" / "0.png")
    archive = zipped(pictures, tmp_path / "a.zip", method=method)
    data = bytearray(archive.read_bytes())
    data[200:260] = bytes(60)  # within the first entry
    archive.write_bytes(data)
    assert [file for file, _ in inspect(str(archive)).unreadable] == ["blue/0.png"]


def test_a_damaged_entry_of_an_archive_is_skipped(pictures: Path, tmp_path: Path) -> None:
    archive = zipped(pictures, tmp_path / "a.zip")
    data = bytearray(archive.read_bytes())
    at = data.index(b"IDAT")
    data[at + 8] ^= 0xFF  # the checksum of the first entry no longer holds
    archive.write_bytes(data)
    report = inspect(str(archive))
    assert [file for file, _ in report.unreadable] == ["blue/0.png"]
    assert "damaged" in report.unreadable[0][1]
    assert len(report.dataset) == 5


def test_a_huge_picture_is_refused(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((400, 400), np.uint8)).save(pictures / "red" / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(RequestError, match=r"red/huge\.png may be a decompression bomb"):
        open_data(str(pictures))
