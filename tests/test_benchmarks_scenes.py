from __future__ import annotations

import pytest
import torch

from benchmarks.placed import place_seen
from benchmarks.scenes import Patch, measure, patches
from ganvas.data import open_data


def test_scenes_come_apart_into_their_shapes() -> None:
    scenes = open_data("shapes", size=32)
    images, facts = scenes.at(torch.arange(40)).x, scenes.attributes
    assert facts is not None
    for i, image in enumerate(images):
        parts, count = patches(image), int(facts["count"][i])
        assert len(parts) == count
        seen = sorted((x, y) for x, y, _ in place_seen(torch.stack(parts)))
        drawn = sorted(zip(facts["x"][i, :count].tolist(), facts["y"][i, :count].tolist(), strict=True))
        assert torch.tensor(seen).sub(torch.tensor(drawn)).abs().max() < 0.06  # a heart's middle is not its centre


def test_a_scene_is_right_where_one_shape_has_both_words() -> None:
    scenes = [
        [Patch(0, 1, 0.2, 0.5), Patch(2, 3, 0.5, 0.5)],
        [Patch(0, 3, 0.5, 0.5), Patch(2, 1, 0.5, 0.5)],
        [],
        [Patch(0, 1, 0.6, 0.8)],
    ]
    figures = measure(scenes, [(0, 1)] * 4)
    assert figures["color"] == 0.75 and figures["shape"] == 0.75 and figures["both"] == 0.5
    assert figures["shapes a scene"] == 1.25
    assert figures["apart"] == pytest.approx(0.5)
