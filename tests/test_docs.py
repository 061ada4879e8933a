"""The pages are true: their Python runs, page by page, block after block; their links and pictures are there.

A block that needs a file which is not in the repository has `<!-- not run: reason -->` on the line before its fence.
Runs that the blocks read are trained here for a step or two, on a few small pictures.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import ganvas
from docs import commands

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])
BLOCK = re.compile(r"^(?:<!-- not run: (?P<reason>.+) -->\n)?```python\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
NOT_RUN = 4  # blocks at most
TINY: dict[str, dict[str, object]] = {  # options with which a step takes a fraction of a second
    "clip": {"gallery": 4, "widths": (8,), "dim": 8, "text_width": 16, "text_layers": 1},
    "cnn": {"widths": (4, 8)},
    "gan": {"width": 8},
    "vae": {"width": 4, "measured": 4},
    "vqgan": {"size": 64, "ch": 8, "n_embed": 16, "critic_width": 8, "perceptual": "none"},
}


class Block(NamedTuple):
    """A fence of Python in a page."""

    code: str
    line: int  # of the page, at which the code begins
    reason: str | None  # why it is not run


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["code"], text.count("\n", 0, found.start("code")), found["reason"])
        for found in BLOCK.finditer(text)
    ]


WITH_PYTHON = [page for page in PAGES if any(not block.reason for block in blocks(page))]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the files that pages speak of: photos/ with captions, me.png, 28-pixel clothes."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    lines = []
    for i in range(48):
        Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "photos" / f"{i}.png")
        lines.append(json.dumps({"file": f"{i}.png", "caption": f"a {['red', 'blue'][i % 2]} picture, number {i}"}))
    (tmp_path / "photos" / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "me.png")
    np.savez(tmp_path / "fashion-mnist.npz", images=random.integers(0, 256, (16, 28, 28, 1), np.uint8))
    return tmp_path


def train(folder: str) -> None:
    """The run that a page calls runs/RECIPE-DATA, after a step."""
    recipe, data = folder.removeprefix("runs/").split("-", 1)
    source = {"photos": "photos", "fashion-mnist": "fashion-mnist.npz"}.get(data, data)
    ganvas.train(recipe, source, out=folder, steps=1, batch=4, options=TINY[recipe], progress=False)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_python_of_a_page_runs(page: Path, home: Path) -> None:
    run = [block for block in blocks(page) if not block.reason]
    made = {folder for block in run for folder in re.findall(r'out="(runs/[\w-]+)"', block.code)}
    for folder in sorted({folder for block in run for folder in re.findall(r"runs/[\w-]+", block.code)} - made):
        train(folder)
    names: dict[str, object] = {"__name__": page.stem}
    for block in run:
        exec(compile("\n" * block.line + block.code, page.name, "exec"), names)
    if page.name == "README.md":
        assert names["images"].shape == (64, 1, 8, 8)  # type: ignore[attr-defined]


def test_the_page_of_commands_is_what_the_verbs_say() -> None:
    assert commands.PAGE.read_text(encoding="utf-8") == commands.page(), "write it with `make commands`"


def test_nearly_all_python_is_run() -> None:
    left_out = [block.reason for page in PAGES for block in blocks(page) if block.reason]
    assert len(left_out) <= NOT_RUN, left_out


def test_every_fence_of_python_is_found() -> None:
    for page in PAGES:
        assert page.read_text(encoding="utf-8").count("```python") == len(blocks(page)), page.name


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_source_files_that_a_page_names_are_there(page: Path) -> None:
    source = [path.relative_to(ROOT).as_posix() for root in ("src", "tests") for path in ROOT.glob(f"{root}/**/*.py")]
    for name in re.findall(r"`((?:\w+/)*\w+\.py)`", page.read_text(encoding="utf-8")):
        assert any(path.endswith(f"/{name}") or path == name for path in source), name
