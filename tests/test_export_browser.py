"""A page in Chromium: what it draws is what torch draws, and it asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from ganvas import cli, media, nets
from ganvas.errors import RequestError
from ganvas.exporters import runtime
from ganvas.frozen import TrainedGenerator, load_generator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = "/usr/bin/chromium"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="there is no Chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api")
    try:
        runtime.open_runtime()
    except RequestError as error:
        pytest.skip(str(error))
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("run") / "generator.safetensors"
    decoder = nets.DCGANGenerator((3, 16, 16), latent=24, width=8).eval()
    for weight in decoder.parameters():
        torch.nn.init.normal_(weight, std=0.3)  # what is untrained draws grey
    TrainedGenerator(decoder, "dcgan").write(path)
    return path


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of keywords, without latents that are worth truncating."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("run") / "generator.safetensors"
    inner = {"shape": (3, 16, 16), "latent": 7, "hidden": (16,)}
    words = ("blue", "circle", "red", "square")
    decoder = nets.ConditionalGenerator((3, 16, 16), 4, "mlp", inner, keywords=words, embedding=3, prompts=2).eval()
    decoder.prompts.copy_(torch.tensor([[0, 1, 1, 0], [1, 0, 0, 1]]))
    TrainedGenerator(decoder, "prompt-gan").write(path)
    return path


def drawn(page: Page, times: int) -> np.ndarray:
    """The picture, (H, W, 3), once it has been drawn so many times."""
    page.wait_for_selector(f'#picture[data-drawn="{times}"], #status.failed', timeout=60_000)
    assert page.inner_text("#status").startswith("Drawn in")
    pixels = page.evaluate("[...at('picture').getContext('2d').getImageData(0, 0, 16, 16).data]")
    return np.array(pixels).reshape(16, 16, 4)[..., :3]


def far(a: np.ndarray, b: np.ndarray) -> int:
    """The largest difference of two pictures, in steps of 1/255."""
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_a_page_draws_what_torch_draws(browser: Browser, generator: Path, tmp_path: Path) -> None:
    assert cli.main(["export", str(generator), "--out", str(tmp_path / "page.html")]) == 0
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"file://{tmp_path}/page.html")
    here = load_generator(generator)
    assert far(drawn(page, 1), media.to_uint8(here.sample([0]))[0]) <= 1

    page.fill("#seed", "1234567")
    seven = drawn(page, 2)
    assert far(seven, media.to_uint8(here.sample([1234567]))[0]) <= 1

    page.focus("#d0")
    page.keyboard.press("End")
    assert far(drawn(page, 3), seven) > 10
    page.click("#reset")
    assert far(drawn(page, 4), seven) == 0

    page.focus("#truncation")
    page.keyboard.press("Home")
    assert far(drawn(page, 5), media.to_uint8(here.sample([3], truncation=0.0))[0]) <= 1

    page.click("#next")
    drawn(page, 6)
    assert page.input_value("#seed") == "1234568"
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "page-seed1234568.png"

    assert {url.split(":")[0] for url in asked} == {"file", "blob"}
    assert [url for url in asked if url.startswith("file")] == [f"file://{tmp_path}/page.html"]
    assert not errors


def test_keywords_are_boxes(browser: Browser, prompted: Path, tmp_path: Path) -> None:
    assert cli.main(["export", str(prompted), "--out", str(tmp_path / "page.html")]) == 0
    here, page = load_generator(prompted), browser.new_page()
    page.goto(f"file://{tmp_path}/page.html")
    assert far(drawn(page, 1), media.to_uint8(here.sample([0]))[0]) <= 1
    assert page.is_checked("text=red") and page.is_disabled("text=red")
    page.uncheck("text=as the seed has them")
    drawn(page, 2)
    page.uncheck("text=red")
    drawn(page, 3)
    page.check("text=blue")
    assert far(drawn(page, 4), media.to_uint8(here.sample([0], label="blue circle"))[0]) <= 1
