"""The page of a run: whole, alone, and never in the way of the run."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from ganvas import recipes, reports
from ganvas.errors import RequestError, WorkError
from ganvas.reports import content
from ganvas.run import Run

FINDING = {"kind": "collapse", "meaning": "The samples are <all> alike.", "advice": "Try pack=2."}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps, with more pictures than the strip shows."""
    path = tmp_path_factory.mktemp("run") / "digits"
    options = {"net": "mlp", "hidden": "16", "sample_every": 2, "log_every": 2, "monitor_every": 0}
    for _ in Run.create("gan", "digits", out=path, steps=16, batch=8, device="cpu", options=options).advance():
        pass
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(trained, tmp_path / "digits"))


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_needs_nothing_but_itself(run: Path) -> None:
    path = reports.write_report(run)
    assert path == run / "report.html"
    page = Page(path)
    links = [a[k] for _, a in page.tags for k in ("src", "href", "srcset", "poster") if a.get(k)]
    assert links
    assert [link[:40] for link in links if not link.startswith("data:")] == []
    assert "url(" not in path.read_text(encoding="utf-8").replace("url(#", "")  # but of the page itself
    assert path.stat().st_size < 4e6


def test_everything_seen_is_told_in_words_too(run: Path) -> None:
    page = Page(reports.write_report(run))
    assert page.named("html")[0]["lang"] == "en"
    assert page.named("img") and all(image["alt"] for image in page.named("img"))
    charts = [svg for svg in page.named("svg") if svg.get("role") == "img"]
    assert len(charts) >= 3 and all(svg["aria-label"] for svg in charts)


def test_the_pictures_are_those_of_the_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # so that the clip is a picture too
    page = Page(reports.write_report(run))
    sizes = []
    for image in page.named("img"):
        with Image.open(BytesIO(b64decode((image["src"] or "").split(",")[1]))) as picture:
            sizes.append((picture.size, getattr(picture, "n_frames", 1)))
            assert picture.size == (int(image["width"] or 0), int(image["height"] or 0))
    with Image.open(run / "samples" / "step-000016.png") as last:
        assert sizes[0] == (last.size, 1)
        assert sizes[1][0][0] < last.width  # the clip: without the real items, and every step
    assert [frames for _, frames in sizes] == [1, 9, *[1] * content.STRIP]
    assert [f"step {step}" in page.words for step in (0, 4, 16)] == [True] * 3


def test_a_changed_option_stands_beside_its_default(run: Path) -> None:
    rows = {row.name: row for row in content.options(json.loads((run / "recipe.json").read_text()))}
    default = str(recipes.recipe("gan").batch)
    assert (rows["batch"].value, rows["batch"].default, rows["batch"].changed) == ("8", default, True)
    assert not rows["lr"].changed
    assert rows["lr"].meaning == "the generator's learning rate"
    assert rows["critic_steps"].value == "0, here 1"
    page = Page(reports.write_report(run))
    assert f"not {default}" in page.words


def log(run: Path, **line: object) -> None:
    with (run / "log.jsonl").open("a") as file:
        file.write(json.dumps({"step": 20, "seconds": 1.0, "images_per_second": 9.0} | line) + "\n")


def test_the_verdict_is_that_of_the_log(run: Path) -> None:
    assert "The monitor did not measure this run." in Page(reports.write_report(run)).words
    log(run, **{"monitor/coverage": 0.9})
    assert "found nothing wrong" in Page(reports.write_report(run)).words
    log(run, findings=[FINDING])
    words = Page(reports.write_report(run)).words
    assert "collapse (step 20): The samples are <all> alike." in words
    assert "Try pack=2." in words and "nothing wrong" not in words


def test_the_log_is_judged_anew(run: Path) -> None:
    for step in range(100, 1100, 100):  # samples that are all alike and get no better, as no line says
        numbers = {"monitor/distance": 1.5, "monitor/coverage": 0.0, "monitor/diversity": 0.01, "monitor/entropy": 0.1}
        log(run, step=step, **numbers)
    assert "collapse (step " in Page(reports.write_report(run)).words


def test_metrics_stand_in_a_table_with_their_protocol(run: Path) -> None:
    figure = {"value": 17.25, "low": 16.0, "high": 18.5, "floor": None, "better": "lower", "meaning": "far <off>"}
    measured = {
        "figures": {"fid": figure, "kid": {**figure, "floor": 0.5}},
        "protocol": {"features": "cnn-digits", "counts": {"samples": 899}},
        "warnings": ["899 samples are few."],
        "findings": ["Variety: no sign of mode collapse."],
        "shares": {},
    }
    (run / "metrics.json").write_text(json.dumps(measured))
    Image.new("RGB", (30, 20)).save(run / "neighbours.png")
    page = Page(reports.write_report(run))
    for text in ("17.2", "16 to 18.5", "0.5", "far <off>", "cnn-digits", "samples: 899", "are few.", "no sign of"):
        assert text in page.words
    assert not any("nearest to it" in (image["alt"] or "") for image in page.named("img"))  # an older one
    measured["figures"] |= {"copies": figure}
    (run / "metrics.json").write_text(json.dumps(measured))
    page = Page(reports.write_report(run))
    assert any("nearest to it" in (image["alt"] or "") for image in page.named("img"))


def test_a_run_without_pictures_or_lines_has_a_page(run: Path) -> None:
    shutil.rmtree(run / "samples")
    (run / "log.jsonl").unlink()
    (run / "generator.safetensors").unlink()
    page = Page(reports.write_report(run))
    assert page.named("img") == []
    assert "ganvas resume" in page.words and "ganvas sample" not in page.words


def test_pictures_of_other_families_are_shown_whole(run: Path) -> None:
    (run / "generator.safetensors").unlink()  # what tells that half of a picture is generated
    found = content.pictures(run, json.loads((run / "recipe.json").read_text()))
    assert found["strip"][0][1].width == content.SMALL
    assert found["strip"][0][1].height < content.SMALL // 2 + 20  # two grids side by side


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"is not a run of ganvas: it has no recipe\.json"):
        reports.write_report(tmp_path)


def test_a_damaged_file_is_named(run: Path) -> None:
    (run / "metrics.json").write_text("{")
    with pytest.raises(RequestError, match=r"metrics\.json is damaged"):
        reports.write_report(run)
    (run / "metrics.json").unlink()
    log = (run / "log.jsonl").read_text(encoding="utf-8")
    (run / "log.jsonl").write_text(f"{{\n{log}", encoding="utf-8")
    with pytest.raises(RequestError, match=r"log\.jsonl is damaged"):
        reports.write_report(run)
    (run / "log.jsonl").write_text(log, encoding="utf-8")
    (run / "samples" / "step-000016.png").write_bytes(b"no picture")
    with pytest.raises(RequestError, match=r"step-000016\.png cannot be read"):
        reports.write_report(run)


def test_a_full_disk_leaves_the_older_page_and_harms_no_run(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = reports.write_report(run).read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(WorkError, match="no space left on device"):
        reports.write_report(run)
    with caplog.at_level(logging.WARNING):
        assert reports.attempt_report(run) is None
    assert "there is no report" in caplog.text and "ganvas report" in caplog.text
    assert (run / "report.html").read_bytes() == before


def test_an_attempt_gives_the_page(run: Path) -> None:
    assert reports.attempt_report(run) == run / "report.html"
