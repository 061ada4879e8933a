from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganvas import media

REAL, FAKE = (0x8D, 0x99, 0xAE), (0xD1, 0x49, 0x5B)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=20))
def test_bytes_survive_the_way_to_floats_and_back(values: list[int]) -> None:
    x = torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, -1) / 127.5 - 1
    assert media.to_uint8(x).flatten().tolist() == values


def test_what_lies_outside_is_clamped_and_channels_come_last() -> None:
    x = torch.tensor([-7.0, 7.0, float("nan")]).reshape(1, 3, 1, 1).expand(2, 3, 4, 5)
    pixels = media.to_uint8(x)
    assert pixels.shape == (2, 4, 5, 3)
    assert pixels[1, 3, 4].tolist() == [0, 255, 128]


def test_tiny_images_are_enlarged_crisply() -> None:
    x = torch.randint(0, 2, (5, 1, 8, 8)).float() * 2 - 1
    sheet = np.asarray(media.grid(x, columns=3))
    assert sheet.shape == (2 * 50 + 2, 3 * 50 + 2, 3)  # 48 pixels a cell and a margin of 2
    cell = sheet[52:100, 52:100, 0]  # the fifth image, second row, second column
    assert np.array_equal(cell[::6, ::6], media.to_uint8(x)[4, :, :, 0])
    assert np.array_equal(cell, cell[::6, ::6].repeat(6, 0).repeat(6, 1))
    assert (sheet[52:, 102:] == 255).all()  # no sixth image


@pytest.mark.parametrize(("side", "cell"), [(8, 48), (16, 48), (28, 56), (64, 64), (100, 100)])
def test_cells_are_readable(side: int, cell: int) -> None:
    width, _ = media.grid(torch.zeros(1, 3, side, side)).size
    assert cell <= width <= cell + 2 * max(2, cell // 24)


def test_colours_and_oblong_images_keep_their_form() -> None:
    x = torch.stack([torch.full((64, 40), v) for v in (1.0, -1.0, 0.2)])[None]
    sheet = np.asarray(media.grid(x))
    assert sheet.shape == (64 + 4, 40 + 4, 3)
    assert sheet[30, 20].tolist() == [255, 0, 153]


def test_generated_stand_left_of_real() -> None:
    sheet = np.asarray(media.side_by_side(-torch.ones(4, 1, 8, 8), torch.zeros(4, 1, 8, 8)))
    left, right = sheet[-60:, : sheet.shape[1] // 2], sheet[-60:, sheet.shape[1] // 2 :]
    assert (left == 0).any() and not (left == 128).any()
    assert (right == 128).any() and not (right == 0).any()
    assert (sheet[:20] < 255).any()  # the captions


def has(image: Image.Image, colour: tuple[int, int, int]) -> bool:
    return bool((np.asarray(image) == colour).all(2).any())


def test_the_real_points_lie_below_and_set_the_frame() -> None:
    real = torch.randn(50, 2)
    near, far = media.scatter(real * 0.5, real), media.scatter(real * 50, real)
    assert near.size == far.size
    assert has(near, REAL) and has(near, FAKE)
    assert not has(media.scatter(torch.full((1, 2), 1e3), real).crop((60, 60, 400, 400)), FAKE)


def test_a_scatter_without_real_points_shows_all() -> None:
    wide, tall = media.scatter(torch.rand(9, 2) * torch.tensor([10.0, 1.0])), media.scatter(torch.rand(9, 2))
    assert wide.height < tall.height
    assert has(wide, FAKE) and not has(wide, REAL)


def test_png_is_written_whole_over_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "grid.png"
    for value in (-1.0, 1.0):
        media.save_png(media.grid(torch.full((1, 1, 48, 48), value)), path)
    with Image.open(path) as image:
        assert image.getpixel((20, 20)) == (255, 255, 255)
    assert [file.name for file in path.parent.iterdir()] == ["grid.png"]


def test_a_failed_write_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "grid.png"
    media.save_png(media.grid(torch.zeros(1, 1, 8, 8)), path)
    before = path.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        media.save_png(media.grid(torch.ones(1, 1, 8, 8)), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["grid.png"]


def test_the_left_one_of_two_grids_can_be_had_back() -> None:
    fake, real = -torch.ones(4, 1, 8, 8), torch.zeros(4, 1, 8, 8)
    left = media.left_side(media.side_by_side(fake, real))
    assert np.array_equal(np.asarray(left), np.asarray(media.grid(fake)))


@pytest.mark.parametrize(("size", "fitted"), [((400, 100), (200, 50)), ((100, 50), (100, 50)), ((20, 800), (5, 200))])
def test_large_pictures_are_shrunk_in_proportion(size: tuple[int, int], fitted: tuple[int, int]) -> None:
    assert media.fitted(Image.new("L", size), 200).size == fitted
    assert media.fitted(Image.new("L", size), 200).mode == "RGB"
