"""The benchmark of painting: what is held out from whom, what drawings say, and how paintings are counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import placed
from benchmarks.paint import AREA, ATTRIBUTES, share, success
from benchmarks.paint_weights import accuracy
from benchmarks.placed import Look
from ganvas.data import open_data
from ganvas.frozen import load_clip
from ganvas.painting.setup import CLIP


def test_what_is_painted_is_in_no_picture_that_was_learnt_from() -> None:
    held = placed.held_out()
    assert len(held) == placed.HELD_OUT and {look[1:] for look in placed.prompts(100)} == held
    assert len(set(placed.prompts(100))) == 100
    captions = placed.pictures(600, 0).captions
    assert captions is not None
    prompts = {placed.caption(look) for look in placed.prompts(100)}
    assert not prompts & set(captions) and not prompts & set(placed.pairs(600, 0).captions or ())
    everything = placed.pictures(600, 0, everything=True).captions
    assert prompts & set(everything or ())


def test_captions_read_well() -> None:
    assert placed.caption(Look("large", "red", "star", "at the left")) == "a large red star at the left"
    assert placed.caption(Look("", "orange", "heart", "")) == "an orange heart"
    assert placed.caption(Look("", "blue", "", "at the top")) == "something blue at the top"
    rng = np.random.default_rng(0)
    look = Look("small", "red", "star", "at the top")
    unclear = {placed.said(rng, look, clear=False) for _ in range(200)}
    assert unclear == {"a red star", "a star", "something red"}  # of a crop neither size nor place is known


@pytest.mark.parametrize("size", placed.RADII)
@pytest.mark.parametrize("place", placed.PLACES)
def test_ink_shows_place_and_size(size: str, place: str) -> None:
    looks = [
        Look(size, color, kind, place) for color, kind in (("red", "heart"), ("yellow", "star"), ("blue", "cross"))
    ]
    for x, y, area in placed.place_seen(placed.plain_pictures(looks, seed=0)):
        assert placed.place_of(x, y) == place and (area > AREA) == (size == "large")


def test_paintings_are_counted_by_attribute() -> None:
    asked = [Look("small", "red", "star", "at the top"), Look("large", "blue", "heart", "at the left")]
    seen = [asked[0], asked[1]._replace(kind="star", place="in the middle")]
    found = success(asked, seen)
    assert [found[name] for name in ATTRIBUTES] == [1, 0.5, 0.5, 1]
    assert found["color and kind"] == 0.5 and found["all"] == 0.5
    assert share(seen, "color", ["red", "red"]) == 0.5


def test_drawings_are_kept_and_classes_name_them(tmp_path: Path) -> None:
    store = placed.stored(tmp_path / "a", lambda: placed.pictures(20, 3))
    again = open_data(str(placed.stored(tmp_path / "a", lambda: pytest.fail("was to be kept"))))
    assert again.captions == open_data(str(store)).captions and again.captions is not None
    assert again.labels is not None and torch.equal(again.items, placed.pictures(20, 3).items)
    assert all(again.class_names[label] in caption for label, caption in zip(again.labels, again.captions, strict=True))


def test_the_clip_that_is_shipped_knows_what_it_has_not_met() -> None:
    clip = load_clip(CLIP)
    right = accuracy(clip, 100)
    assert right["color"] > 0.97 and right["kind"] > 0.97 and right["place"] > 0.85
    assert all(right[name] == pytest.approx(clip.facts["accuracy"][name], abs=0.06) for name in right)
