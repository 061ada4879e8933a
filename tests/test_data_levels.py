"""Pictures of more than 8 bits, JPEGs that lack their end, HEIC: what the world's cameras and scanners write."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.data import Options, decode, open_data
from ganvas.data.decode import TRUNCATED, Unreadable
from ganvas.errors import RequestError
from ganvas.sizes import Size

pytestmark = pytest.mark.usefixtures("own_cache")


def scans(top: Path, *ranges: tuple[float, float], kind: str = "tif", dtype: Any = np.uint16) -> str:
    """16x16 pictures, each a ramp from one value to another."""
    top.mkdir(exist_ok=True)
    for i, ends in enumerate(ranges):
        Image.fromarray(np.linspace(*ends, 256).astype(dtype).reshape(16, 16)).save(top / f"{i}.{kind}")
    return str(top)


@pytest.mark.parametrize("kind", ["tif", "png"])
def test_scans_of_12_bits_in_16_are_stretched_by_the_range_of_the_set(tmp_path: Path, kind: str) -> None:
    data = open_data(scans(tmp_path / "scans", (0, 2000), (1000, 4095), kind=kind))
    assert data.shape == (1, 16, 16)
    ends = [(int(item.min()), int(item.max())) for item in data.items]
    assert ends == [(0, round(2000 / 4095 * 255)), (round(1000 / 4095 * 255), 255)]
    assert data.origin.levels == "0:4095"
    assert "use 0 to 4095 of 65535" in data.origin.notes[0] and "levels=full" in data.origin.notes[0]


def test_pictures_that_use_their_range_are_not_stretched(tmp_path: Path) -> None:
    data = open_data(scans(tmp_path / "scans", (10000, 60000)))
    assert (int(data.items.min()), int(data.items.max())) == (round(10000 / 257), round(60000 / 257))
    assert data.origin.notes == ()


@pytest.mark.parametrize(("levels", "ends"), [("full", (0, 16)), ("0:8190", (0, 128)), ("1000:3000", (0, 255))])
def test_levels_can_be_chosen(tmp_path: Path, levels: str, ends: tuple[int, int]) -> None:
    data = open_data(scans(tmp_path / "scans", (0, 4095)), levels=levels)
    assert (int(data.items.min()), int(data.items.max())) == ends
    assert data.origin.notes == ()


def test_few_broken_pixels_do_not_set_the_levels(tmp_path: Path) -> None:
    values = np.linspace(0, 4095, 64 * 64).astype(np.uint16).reshape(64, 64)
    values[0, 0] = 65535
    (tmp_path / "scans").mkdir()
    Image.fromarray(values).save(tmp_path / "scans" / "a.tif")
    low, high = open_data(str(tmp_path / "scans")).origin.levels.split(":")
    assert (int(low), int(high)) == pytest.approx((4, 4091), abs=2)


def test_both_splits_have_the_levels_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    scans(tmp_path / "set" / "train", (0, 4095), (0, 4095))
    scans(tmp_path / "set" / "test", (0, 100))
    train = open_data(str(tmp_path / "set"), hold_out=0.1)
    assert train.held_out is not None
    assert train.held_out.items.max() == round(100 / 4095 * 255)
    again = open_data(str(tmp_path / "set"))
    assert Options().like(again).levels == train.origin.levels == "0:4095"


@pytest.mark.parametrize(
    ("ends", "expected"),
    [((0, 1), (0, 255)), ((0, 255), (0, 255)), ((0, 200), (0, 200)), ((-1, 1), (0, 255)), ((0, 1000), (0, 255))],
)
def test_floating_point_sets_have_one_white(tmp_path: Path, ends: tuple[float, float], expected: tuple) -> None:
    data = open_data(scans(tmp_path / "scans", ends, (0, min(ends[1], 0.5)), dtype=np.float32))
    assert (int(data.items[0].min()), int(data.items[0].max())) == expected


def test_16_bit_colour_is_stretched_and_says_that_few_shades_are_left(tmp_path: Path) -> None:
    values = np.linspace(0, 4095, 256).astype(">u2").repeat(3).reshape(16, 16, 3)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    chunks = (b"IHDR", struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    (tmp_path / "scans").mkdir()
    file = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    (tmp_path / "scans" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + file)
    data = open_data(str(tmp_path / "scans"))
    assert (int(data.items.min()), int(data.items.max())) == (0, 255)
    assert "16 shades" in data.origin.notes[0]


@pytest.mark.parametrize("levels", ["", "bright", "1", "2:1", "1:1", "0:inf", "e:1", "1:2:3", "nan:1"])
def test_impossible_levels_are_refused(tmp_path: Path, levels: str) -> None:
    with pytest.raises(RequestError, match="choose 'auto', 'full' or LOW:HIGH"):
        open_data(str(tmp_path), levels=levels)


# -- JPEGs that lack their last bytes ---------------------------------------------------------------------------------


def jpeg(share: float = 1.0, **options: Any) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", quality=95, subsampling=0, **options)
    return buffer.getvalue()[: int(share * buffer.tell())]


@pytest.mark.parametrize("progressive", [False, True])
def test_what_is_there_of_a_truncated_jpeg_can_be_kept(progressive: bool) -> None:
    whole, cut = jpeg(progressive=progressive), jpeg(0.6, progressive=progressive)
    with pytest.raises(Unreadable, match=TRUNCATED):
        decode.decode(cut, "a.jpg", Size(64, 64), 3)
    kept = decode.decode(cut, "a.jpg", Size(64, 64), 3, keep=True)
    assert kept.truncated
    if not progressive:
        full = decode.decode(whole, "a.jpg", Size(64, 64), 3, keep=True)
        assert not full.truncated
        assert np.array_equal(kept.pixels[:, :24], full.pixels[:, :24])


def test_truncated_files_are_counted_and_kept_if_asked(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for i, share in enumerate((1, 0.9, 0.5)):
        (tmp_path / "set" / f"{i}.jpg").write_bytes(jpeg(share))
    (tmp_path / "set" / "3.jpg").write_bytes(b"\xff\xd8\xff\xe0")  # no picture at all
    data = open_data(str(tmp_path / "set"))
    assert (len(data), data.origin.unreadable[:2]) == (1, (("1.jpg", TRUNCATED), ("2.jpg", TRUNCATED)))
    (note,) = data.origin.notes
    assert "2 JPEG files lack their last bytes" in note and "truncated=keep" in note
    kept = open_data(str(tmp_path / "set"), truncated="keep")
    assert (len(kept), len(kept.origin.unreadable)) == (3, 1)
    assert "2 JPEG files" in kept.origin.notes[0] and "truncated=skip" in kept.origin.notes[0]


# -- HEIC --------------------------------------------------------------------------------------------------------------


def heic() -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    image = Image.new("RGB", (48, 32), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 16, 32))
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=100)
    return buffer.getvalue()


def test_heic_is_read_like_any_picture(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "IMG_0001.HEIC").write_bytes(heic())
    data = open_data(str(tmp_path / "set"), size="48x32")
    assert data.shape == (3, 32, 48)
    assert data.items[0, :, 16, 8].tolist() == pytest.approx([0, 0, 255], abs=12)
    assert data.items[0, :, 16, 40].tolist() == pytest.approx([255, 0, 0], abs=12)


def test_heic_without_its_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic()
    decode._reads_heic.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(Unreadable, match=r"pip install 'ganvas\[heic\]'"):
        decode.decode(data, "a.heic", Size(8, 8), 3)
    decode._reads_heic.cache_clear()
