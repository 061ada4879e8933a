"""Archives: samples of WebDataset, pictures in a .tar, and what is refused in both."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from ganvas.data import Dataset, lasting, open_data, tar
from ganvas.data.options import NoSplit
from ganvas.errors import RequestError

pytestmark = pytest.mark.usefixtures("own_cache")


def picture(level: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), level).save(buffer, kind)
    return buffer.getvalue()


def write(path: Path, files: Mapping[str, bytes | str], mode: str = "w") -> Path:
    """A .tar of these files, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, data in files.items():
            content = data.encode() if isinstance(data, str) else data
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def samples(*numbers: int) -> dict[str, bytes | str]:
    """Sample i has level i, the class i % 2, and a caption."""
    files: dict[str, bytes | str] = {}
    for i in numbers:
        files |= {f"{i:03}.png": picture(i), f"{i:03}.cls": str(i % 2), f"{i:03}.txt": f"sample {i}\n"}
    return files


def levels(data: Dataset) -> list[int]:
    return data.items[:, 0, 0, 0].tolist()


def check(data: Dataset, *numbers: int) -> None:
    assert levels(data) == list(numbers)
    assert data.labels is not None and data.labels.tolist() == [i % 2 for i in numbers]
    assert (data.class_names, data.captions) == (("0", "1"), tuple(f"sample {i}" for i in numbers))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_samples_of_one_archive(tmp_path: Path, own_cache: Path, mode: str) -> None:
    path = write(tmp_path / "set.tar.gz", samples(4, 5, 6), mode)
    data = open_data(str(path))
    check(data, 4, 5, 6)
    assert (data.name, data.origin.place, data.origin.notes) == ("set", str(path), ())
    assert {it.name for it in own_cache.iterdir()} <= {"datasets", "locks"}  # what was unpacked is gone
    with pytest.raises(NoSplit):
        open_data(str(path), split="test")


def test_a_sample_is_all_that_has_its_key_in_any_order(tmp_path: Path) -> None:
    files = {
        **{f"b/{i}.json": json.dumps({"label": f"{i}", "width": i, "sharp": i > 1, "url": "x"}) for i in range(3)},
        **{f"b/{i}.seg.npy": b"x" for i in range(3)},
        "b/2.jpg": picture(2, "JPEG"),
        "b/0.webp": picture(0, "WEBP"),
        "b/1.JPG": picture(1, "JPEG"),
        "c/1.png": picture(9),
        "c/7.txt": "of no picture",
    }
    data = open_data(str(write(tmp_path / "a.tar", files)))
    assert levels(data) == [0, 1, 2, 9]
    assert data.class_names == ("0", "1", "2", "unlabelled")
    assert data.labels is not None and data.labels.tolist() == [0, 1, 2, 3]
    assert data.captions is None and data.attributes is not None
    assert data.attributes["width"][:3].tolist() == [0, 1, 2] and data.attributes["width"][3].isnan()
    assert data.attributes["sharp"][:3].tolist() == [0, 0, 1]
    notes = "\n".join(data.origin.notes)
    assert "1 samples have no picture" in notes and "3 .seg.npy" in notes


def test_captions_of_fields(tmp_path: Path) -> None:
    files = {"0.png": picture(3), "0.json": json.dumps({"caption": "one", "alt": "two", "score": 0.5})}
    place = str(write(tmp_path / "a.tar", files))
    assert open_data(place).captions == ("one",)
    assert open_data(place, caption="alt").captions == ("two",)
    with pytest.raises(RequestError, match=r"caption: no sample of .* has a caption 'x'"):
        open_data(place, caption="x")


def test_one_of_several_pictures(tmp_path: Path) -> None:
    files = {"0.left.png": picture(3), "0.right.png": picture(4), "0.cls": "a", "1.left.png": picture(5), "1.cls": "b"}
    place = str(write(tmp_path / "a.tar", files))
    data = open_data(place)
    assert levels(data) == [3, 5]
    assert any("image=KIND" in note and "left.png, right.png" in note for note in data.origin.notes)
    other = open_data(place, image="right.png")
    assert levels(other) == [4] and "1 samples without a picture 'right.png'" in other.origin.notes[0]
    with pytest.raises(RequestError, match=r"image: .* no|image: no sample .* choose from left.png, right.png"):
        open_data(place, image="x")


def test_shards_of_a_folder_and_of_a_pattern(tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / "set" / f"s-{i:03}.tar", samples(2 * i, 2 * i + 1))
    check(open_data(str(tmp_path / "set")), *range(6))
    data = open_data(str(tmp_path / "set" / "s-{001..002}.tar"))
    check(data, 2, 3, 4, 5)
    assert data.name == "s"
    check(open_data(str(tmp_path / "set" / "s-{000,002}.tar")), 0, 1, 4, 5)
    with pytest.raises(RequestError, match=r"2 of the 5 archives of .* do not exist, such as .*s-003\.tar"):
        open_data(str(tmp_path / "set" / "s-{000..004}.tar"))
    with pytest.raises(RequestError, match="stands for no archives"):
        open_data(str(tmp_path / "set" / "s-{5..2}.tar"))


def test_splits_of_shards(tmp_path: Path) -> None:
    write(tmp_path / "set" / "train-0.tar", {"0.png": picture(0), "0.cls": "m", "1.png": picture(1), "1.cls": "p"})
    write(tmp_path / "set" / "val-0.tar", {"0.png": picture(2), "0.cls": "p", "1.png": picture(3), "1.cls": "a"})
    data = open_data(str(tmp_path / "set"), hold_out=0.5)
    assert (levels(data), data.class_names) == ([0, 1], ("m", "p"))
    assert data.held_out is not None and data.held_out.labels is not None
    assert (levels(data.held_out), data.held_out.class_names) == ([2, 3], ("m", "p", "a"))
    assert data.held_out.labels.tolist() == [1, 2]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_of_a_folder_of_pictures_is_read_like_the_folder(tmp_path: Path, mode: str) -> None:
    files = {
        "./set/train/cat/a.png": picture(1),
        "./set/train/dog/b.png": picture(2),
        "./set/val/cat/c.png": picture(3),
    }
    path = write(tmp_path / "set.tgz", {**files, "./set/metadata.csv": "file_name,text\ntrain/cat/a.png,a cat\n"}, mode)
    data = open_data(str(path), hold_out=0.5)
    assert (levels(data), data.class_names, data.name) == ([1, 2], ("cat", "dog"), "set")
    assert data.captions == ("a cat", "")
    assert data.held_out is not None and levels(data.held_out) == [3]


def test_unsafe_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("../a.png", "/a.png", "c:/a.png", "x/../../a.png"):
        with pytest.raises(RequestError, match="leaves the archive"):
            open_data(str(write(tmp_path / "a.tar", {name: picture(1)})))
    entry = tarfile.TarInfo("a.png")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        entry.type, entry.linkname = kind, "/etc/passwd"
        with tarfile.open(tmp_path / "b.tar", "w") as archive:
            archive.addfile(entry)
        with pytest.raises(RequestError, match="is not a plain file"):
            open_data(str(tmp_path / "b.tar"))
    monkeypatch.setattr(tar, "MAX_FILE", 50)
    with pytest.raises(RequestError, match=r"has \d+ bytes, more than 50"):
        open_data(str(write(tmp_path / "c.tar", {"a.png": picture(1)})))
    monkeypatch.setattr(tar, "FEW", 1000)
    monkeypatch.setattr(tar, "SHARE", 2)
    with pytest.raises(RequestError, match="decompression bomb"):
        open_data(str(write(tmp_path / "d.tar.gz", {"a.png": b"\0" * 100_000}, "w:gz")))


def test_damage_in_an_archive_is_said_and_its_last_sample_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", samples(4, 5, 6, 7))
    whole = path.read_bytes()
    with tarfile.open(path) as archive:
        ends = {entry.name: entry.offset for entry in archive}
    path.write_bytes(whole[: ends["006.txt"]] + b"x" * 512 + whole[ends["006.txt"] + 512 :])
    data = open_data(str(path))
    check(data, 4, 5)  # 6 has lost its caption
    assert any("is damaged after '006.cls'" in note for note in data.origin.notes)
    path.write_bytes(whole[: ends["006.txt"]] + b"\0" * 512 + whole[ends["006.txt"] + 512 :])
    assert any("is damaged after '006.cls'" in note for note in open_data(str(path)).origin.notes)
    path.write_bytes(whole[: ends["006.png"] + 512 + 20])
    check(open_data(str(path)), 4, 5)
    path.write_bytes(whole[: ends["007.txt"] + 1024])  # without the zeros at its end
    data = open_data(str(path))
    check(data, 4, 5, 6, 7)
    assert data.origin.notes == ()


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08 no gzip", b"\0" * 2000])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(RequestError, match=r"cannot be read as a \.tar|contains no images"):
        open_data(str(tmp_path / "a.tar"))


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"0.json": "{", "0.png": picture(1)}, "is not JSON"),
        ({"0.json": "[" * 5000, "0.png": picture(1)}, "is not JSON"),
        ({"0.json": "[1]", "0.png": picture(1)}, "is not a JSON object"),
        ({"0.cls": b"\xff", "0.png": picture(1)}, "is not UTF-8"),
    ],
)
def test_damaged_words_are_refused(tmp_path: Path, files: dict[str, bytes | str], problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        open_data(str(write(tmp_path / "a.tar", files)))


def test_a_pattern_means_the_same_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert lasting("s-{0..3}.tar") == str(tmp_path / "s-{0..3}.tar")
