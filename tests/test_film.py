"""Films hold exactly the frames that they were given, also those that look alike."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas import film
from ganvas.errors import RequestError

FRAMES = [Image.new("RGB", (34, 22), (60 * (i // 3), 90, 0)) for i in range(9)]  # each looks like the two beside it


@pytest.mark.parametrize(("encode", "fps", "delays"), [(film.encode_gif, 24, 10), (film.encode_webp, 24, 1)])
def test_no_frame_is_dropped_and_the_whole_takes_its_time(encode, fps: float, delays: int) -> None:
    with Image.open(BytesIO(encode(iter(FRAMES), fps))) as clip:
        assert (clip.n_frames, clip.size, clip.info["loop"]) == (9, (34, 22), 0)  # type: ignore[attr-defined]
        lasted = 0
        for i in range(9):
            clip.seek(i)
            shown = np.asarray(clip.convert("RGB"))
            assert np.abs(shown.astype(int) - np.asarray(FRAMES[i])).max() <= 6
            lasted += clip.info["duration"]
    assert abs(lasted - 9 * 1000 / fps) <= delays


def test_colours_of_a_gif_are_each_frames_own() -> None:
    frames = [Image.fromarray(np.random.default_rng(i).integers(0, 255, (16, 16, 3), np.uint8)) for i in range(3)]
    with Image.open(BytesIO(film.encode_gif(frames, 10))) as clip:
        for i, frame in enumerate(frames):
            clip.seek(i)
            assert np.abs(np.asarray(clip.convert("RGB")).astype(int) - np.asarray(frame)).mean() < 8


@pytest.mark.filterwarnings("ignore:Exception ignored.*:pytest.PytestUnraisableExceptionWarning")  # its reader's pipes
def test_an_mp4_is_encoded_as_its_frames_come(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    film.write(iter(FRAMES), str(tmp_path / "new" / "walk.mp4"), 12.5)
    facts = next(reader := ffmpeg.read_frames(tmp_path / "new" / "walk.mp4"))
    assert (facts["size"], facts["codec"], facts["fps"], len(list(reader))) == ((34, 22), "h264", 12.5, 9)
    assert facts["pix_fmt"].startswith("yuv420p")


def test_a_directory_gets_numbered_pictures(tmp_path: Path) -> None:
    film.write(FRAMES[:2], f"{tmp_path / 'frames'}/", 25)
    assert sorted(file.name for file in (tmp_path / "frames").iterdir()) == ["frame-00000.png", "frame-00001.png"]


@pytest.mark.parametrize(("out", "fps", "said"), [("a.avi", 25, ".mp4"), ("a.gif", 60, "webp")])
def test_what_cannot_be_written_is_told_before_anything_is_made(out: str, fps: float, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        film.write(iter(()), out, fps)


def test_a_film_without_frames_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(RequestError, match="one frame"):
        film.write(iter(()), str(tmp_path / "a.mp4"), 25)


@pytest.mark.parametrize(("side", "wide"), [(28, 252), (32, 256), (8, 256), (300, 300)])
def test_small_frames_are_enlarged_by_whole_factors(side: int, wide: int) -> None:
    picture = film.picture(torch.zeros(1, 1, side, side))
    assert (picture.mode, picture.size) == ("RGB", (wide, wide))


def test_walks_stand_side_by_side() -> None:
    images = torch.stack([torch.full((3, 64, 64), v) for v in (-1.0, 0.0, 1.0)])
    sheet = np.asarray(film.picture(images, columns=2))
    assert sheet.shape == (256, 256, 3)
    assert [sheet[0, 0, 0], sheet[0, 200, 0], sheet[200, 0, 0], sheet[200, 200, 0]] == [0, 128, 255, 255]
