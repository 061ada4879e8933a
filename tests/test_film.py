"""Films hold exactly the frames that they were given, also those that look alike."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas import film
from ganvas.errors import RequestError

FRAMES = [Image.new("RGB", (34, 22), (60 * (i // 3), 90, 0)) for i in range(9)]  # each looks like the two beside it


@pytest.mark.parametrize(("encode", "fps", "delays"), [(film.encode_gif, 24, 10), (film.encode_webp, 24, 1)])
def test_no_frame_is_dropped_and_the_whole_takes_its_time(encode, fps: float, delays: int, tmp_path: Path) -> None:
    assert list(encode(iter(FRAMES), fps, tmp_path / "clip")) == list(range(1, 10))
    with Image.open(tmp_path / "clip") as clip:
        assert (clip.n_frames, clip.size, clip.info["loop"]) == (9, (34, 22), 0)  # type: ignore[attr-defined]
        lasted = 0
        for i in range(9):
            clip.seek(i)
            shown = np.asarray(clip.convert("RGB"))
            assert np.abs(shown.astype(int) - np.asarray(FRAMES[i])).max() <= 6
            lasted += clip.info["duration"]
    assert abs(lasted - 9 * 1000 / fps) <= delays


def test_colours_of_a_gif_are_each_frames_own(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.random.default_rng(i).integers(0, 255, (16, 16, 3), np.uint8)) for i in range(3)]
    assert len(list(film.encode_gif(frames, 10, tmp_path / "clip.gif"))) == 3
    with Image.open(tmp_path / "clip.gif") as clip:
        for i, frame in enumerate(frames):
            clip.seek(i)
            assert np.abs(np.asarray(clip.convert("RGB")).astype(int) - np.asarray(frame)).mean() < 8


@pytest.mark.filterwarnings("ignore:Exception ignored.*:pytest.PytestUnraisableExceptionWarning")  # its reader's pipes
def test_an_mp4_is_encoded_as_its_frames_come(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    drawn = []
    frames = (drawn.append(i) or frame for i, frame in enumerate(FRAMES, 1))
    for done in film.write(frames, tmp_path / "new" / "walk.mp4", 12.5):
        assert len(drawn) == done or done == 1  # and none of them is kept
        assert not (tmp_path / "new" / "walk.mp4").exists()
    facts = next(reader := ffmpeg.read_frames(tmp_path / "new" / "walk.mp4"))
    assert (facts["size"], facts["codec"], facts["fps"], len(list(reader))) == ((34, 22), "h264", 12.5, 9)
    assert facts["pix_fmt"].startswith("yuv420p")


def test_a_directory_gets_numbered_pictures(tmp_path: Path) -> None:
    assert list(film.write(FRAMES[:2], f"{tmp_path / 'frames'}/", 25)) == [1, 2]
    assert sorted(file.name for file in (tmp_path / "frames").iterdir()) == ["frame-00000.png", "frame-00001.png"]


@pytest.mark.parametrize(("out", "fps", "said"), [("a.avi", 25, ".mp4"), ("a.gif", 60, "webp")])
def test_what_cannot_be_written_is_refused_before_anything_is_made(out: str, fps: float, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        next(film.write(iter(FRAMES), out, fps))


def test_a_film_without_frames_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(RequestError, match="one frame"):
        next(film.write(iter(()), tmp_path / "a.mp4", 25))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("side", "wide"), [(28, 252), (32, 256), (8, 256), (300, 300)])
def test_small_frames_are_enlarged_by_whole_factors(side: int, wide: int) -> None:
    picture = film.picture(torch.zeros(1, 1, side, side))
    assert (picture.mode, picture.size) == ("RGB", (wide, wide))


def test_walks_stand_side_by_side() -> None:
    images = torch.stack([torch.full((3, 64, 64), v) for v in (-1.0, 0.0, 1.0)])
    sheet = np.asarray(film.picture(images, columns=2))
    assert sheet.shape == (256, 256, 3)
    assert [sheet[0, 0, 0], sheet[0, 200, 0], sheet[200, 0, 0], sheet[200, 200, 0]] == [0, 128, 255, 255]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.mp4", "A.GIF"])
def test_a_film_that_is_given_up_leaves_the_older_one(name: str, tmp_path: Path) -> None:
    if name.endswith(".mp4"):
        pytest.importorskip("imageio_ffmpeg")
    (tmp_path / name).write_bytes(b"the older film")
    steps = film.write(iter(FRAMES), tmp_path / name, 25)
    assert [next(steps), next(steps)] == [1, 2]
    steps.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"the older film"


CLIP = [Image.new("RGB", (33, 21), (20 * i, 0, 0)) for i in range(8)]


def test_without_the_extra_a_clip_is_an_animated_webp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "find_spec", lambda name: None)
    kind, data = film.encode_clip(CLIP, fps=5)
    assert kind == "image/webp"
    with Image.open(BytesIO(data)) as clip:
        clip.load()
        assert (clip.n_frames, clip.size, clip.info["duration"]) == (8, (33, 21), 200)  # type: ignore[attr-defined]
    with pytest.raises(RequestError, match=r"pip install 'ganvas\[video\]'"):
        list(film.write(CLIP, tmp_path / "clip.mp4", 5))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Exception ignored.*:pytest.PytestUnraisableExceptionWarning")  # its reader's pipes
def test_with_the_extra_a_clip_is_an_mp4_of_an_even_size() -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    kind, data = film.encode_clip(CLIP, fps=5)
    assert (kind, data[4:8]) == ("video/mp4", b"ftyp")
    assert data.index(b"moov") < data.index(b"mdat")  # it plays before all of it is there
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        path.write_bytes(data)
        facts = next(reader := ffmpeg.read_frames(path))
        assert (facts["size"], facts["codec"], len(list(reader))) == ((32, 20), "h264", 8)


@pytest.mark.filterwarnings("ignore:Exception ignored.*:pytest.PytestUnraisableExceptionWarning")  # its reader's pipes
@pytest.mark.parametrize("side", [64, 1080])
def test_the_colours_of_a_film_are_those_of_its_frames(side: int, tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    halves = Image.new("RGB", (side, side), (200, 40, 60))
    halves.paste((30, 160, 220), (0, 0, side, side // 2))
    assert list(film.encode_mp4([halves] * 2, 25, tmp_path / "clip.mp4")) == [1, 2]
    facts = next(reader := ffmpeg.read_frames(tmp_path / "clip.mp4"))
    assert "bt709" in facts["pix_fmt"]
    shown = np.frombuffer(next(reader), np.uint8).reshape(side, side, 3).astype(int)
    for row in (side // 4, 3 * side // 4):
        assert np.abs(shown[row, side // 2] - halves.getpixel((side // 2, row))).max() <= 3
