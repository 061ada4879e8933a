"""What is drawn: points with known modes, and scenes that match their captions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ganvas.data import Options, inspect, open_data, opening, shapes
from ganvas.errors import RequestError


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(shapes, "SCENES", 60)
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path))


def scenes(n: int, seed: int = 0) -> list[tuple[shapes.Shape, ...]]:
    rng = np.random.default_rng(seed)
    return [shapes.scene(rng) for _ in range(n)]


@pytest.mark.parametrize(("name", "k", "sigma"), [("ring", 8, 0.01), ("grid", 25, 0.05)])
def test_mixtures_follow_the_protocol(name: str, k: int, sigma: float) -> None:
    data = open_data(name)
    assert data.modes is not None
    assert data.labels is not None
    assert (data.shape, data.classes, data.modes.sigma) == ((2,), k, sigma)
    offset = data.items - data.modes.centres[data.labels]
    assert offset.std().item() == pytest.approx(sigma, rel=0.02)
    assert offset.mean(0).abs().max() < sigma / 50
    assert torch.bincount(data.labels, minlength=k).min() > 0.9 * len(data) / k


def test_the_modes_lie_where_the_papers_put_them() -> None:
    ring, grid = open_data("ring").modes, open_data("grid").modes
    assert ring is not None
    assert grid is not None
    assert torch.allclose(ring.centres.norm(dim=1), torch.ones(8))
    assert len({round(math.degrees(math.atan2(y, x))) % 360 for x, y in ring.centres.tolist()}) == 8
    assert sorted(map(tuple, grid.centres.tolist())) == [(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)]


def test_sine_and_spiral_lie_on_their_curves() -> None:
    sine = open_data("sine").items
    assert sine.shape == (1024, 2)
    assert torch.allclose(sine[:, 1], sine[:, 0].sin(), atol=1e-6)
    assert torch.histc(sine[:, 0], 40, 0, 2 * math.pi).min() > 0
    x, y = open_data("spiral").items.T
    radius, angle = torch.hypot(x, y), torch.atan2(y, x)
    turns = 4 * math.pi * radius - angle  # a multiple of 2 pi on the curve itself
    off = torch.remainder(turns + math.pi, 2 * math.pi) - math.pi
    assert off.abs()[radius > 0.1].median() < 0.2


def test_points_are_a_function_of_seed_and_split() -> None:
    first = open_data("ring", seed=3)
    assert torch.equal(first.items, open_data("ring", seed=3).items)
    assert not torch.equal(first.items, open_data("ring", seed=4).items)
    assert not torch.equal(first.items, open_data("ring", seed=3, split="test").items)


@pytest.mark.parametrize("wish", [{"size": 32}, {"channels": 1}])
def test_points_have_no_size(wish: dict[str, int]) -> None:
    with pytest.raises(
        RequestError, match=f"data: sine contains points, which have no {next(iter(wish))}; give images"
    ):
        open_data("sine", **wish)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("size", [32, 64])
def test_pictures_show_what_the_table_says(size: int) -> None:
    """The pixel at an object's centre has its colour, the border is background, and the area grows with the size."""
    for drawn in scenes(40):
        picture = shapes.draw(drawn, size).transpose(1, 2, 0)
        assert picture.shape == (size, size, 3)
        for it in drawn:
            assert tuple(picture[int(it.y * size), int(it.x * size)]) == shapes.COLORS[it.color]
        border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert (border == shapes.BACKGROUND).all()
        covered = (picture != shapes.BACKGROUND).any(axis=2).mean()
        discs = sum(math.pi * it.radius**2 for it in drawn)
        assert 0.3 * discs < covered < 2 * discs


def test_shapes_keep_apart_and_their_relations_are_clear() -> None:
    for drawn in scenes(100):
        for i, a in enumerate(drawn):
            for b in drawn[:i]:
                assert math.dist((a.x, a.y), (b.x, b.y)) > a.radius + b.radius
                assert (a.kind, a.color) != (b.kind, b.color)
        for other in drawn[1:]:
            assert abs(abs(drawn[0].x - other.x) - abs(drawn[0].y - other.y)) > shapes.CLEAR


def test_captions_read_as_english() -> None:
    circle = shapes.Shape("circle", "red", "small", 0.2, 0.5, 0.1)
    square = shapes.Shape("square", "blue", "medium", 0.7, 0.5, 0.15)
    star = shapes.Shape("star", "orange", "medium", 0.25, 0.8, 0.15)
    assert shapes.describe([circle]) == "a small red circle"
    assert shapes.describe([circle, square]) == "a small red circle left of a blue square"
    assert shapes.describe([circle, square, star]) == (
        "a small red circle left of a blue square and above an orange star"
    )
    assert [shapes.relation(star, circle), shapes.relation(square, circle)] == ["below", "right of"]


def test_the_table_is_the_scenes() -> None:
    drawn = scenes(50)
    table = shapes.tabulate(drawn)
    for n, objects in enumerate(drawn):
        count = int(table["count"][n])
        rows = [
            shapes.Shape(
                shapes.KINDS[table["shape"][n, k]],
                tuple(shapes.COLORS)[table["color"][n, k]],
                tuple(shapes.RADII)[table["size"][n, k]],
                *(table[key][n, k].item() for key in ("x", "y", "radius")),
            )
            for k in range(count)
        ]
        assert shapes.describe(rows) == shapes.describe(objects)
        assert [row.x for row in rows] == pytest.approx([it.x for it in objects])
        for key in ("shape", "color", "size", "x", "y", "radius"):
            assert (table[key][n, count:] == -1).all()
        relations = [shapes.RELATIONS[i] for i in table["relation"][n] if i >= 0]
        assert relations == [shapes.relation(objects[0], other) for other in objects[1:]]


def test_opened_shapes_carry_their_words(few: None) -> None:
    data = open_data("shapes")
    assert data.captions is not None
    assert data.attributes is not None
    assert data.labels is not None
    assert (len(data), data.shape, data.class_names) == (60, (3, 32, 32), shapes.KINDS)
    assert torch.equal(data.labels, data.attributes["shape"][:, 0])
    for label, caption in zip(data.labels.tolist(), data.captions, strict=True):
        assert shapes.KINDS[label] in caption.split(" of ")[0]
    with pytest.raises(StopIteration):  # it comes from the cache: there is nothing to report
        next(opening("shapes"))
    again = open_data("shapes")
    assert torch.equal(again.items, data.items)
    assert again.captions == data.captions
    assert torch.equal(again.attributes["relation"], data.attributes["relation"])  # pyright: ignore


def test_drawing_reports_how_far_it_is(few: None) -> None:
    found = [(progress.what, progress.done, progress.total) for progress in opening("shapes", Options(channels=1))]
    drawn = [("drawing shapes", n, 60) for n in range(1, 61)]
    assert found == [("placing shapes", n, 60) for n in range(1, 61)] + drawn + [("resizing pictures", 60, 60)]


def test_one_shape_is_a_single_shape_of_every_look(few: None) -> None:
    data = open_data("one-shape")
    assert data.captions is not None
    assert data.attributes is not None
    assert (len(data), data.name, set(data.attributes["count"].tolist())) == (60, "one-shape", {1})
    assert not any(word in caption for caption in data.captions for word in shapes.RELATIONS)
    assert {len(data.attributes[key][:, 0].unique()) for key in ("shape", "color", "size")} == {6, 7, 3}
    assert open_data("shapes").captions != data.captions  # nor does the cache mix the two up


def test_a_centred_shape_is_the_same_in_the_middle(few: None) -> None:
    data, free = open_data("centred-shape"), open_data("one-shape")
    assert data.captions == free.captions
    assert data.attributes is not None
    assert free.attributes is not None
    assert set(data.attributes["x"][:, 0].tolist()) == set(data.attributes["y"][:, 0].tolist()) == {0.5}
    torch.testing.assert_close(data.attributes["radius"][:, 0], 2 * free.attributes["radius"][:, 0])
    border = torch.cat([data.items[:, :, 0], data.items[:, :, -1]], 2)
    assert (border == torch.tensor(shapes.BACKGROUND)[:, None]).all()  # the largest of them fits


def test_the_report_says_what_is_drawn(few: None) -> None:
    text = "\n".join(inspect("shapes").lines())
    for fact in ("60 images 3x32x32", "classes: 6 (circle", "and 1 more)", "captions: 60, such as 'a", "relation, x"):
        assert fact in text
    assert inspect("ring").lines()[0] == "ring: 50,000 points of dimension 2, 0.4 MiB"


def test_shapes_are_a_function_of_the_seed_and_scale_with_the_size(few: None) -> None:
    data = open_data("shapes")
    assert open_data("shapes", seed=1).captions != data.captions
    assert open_data("shapes", split="test").captions != data.captions
    large = open_data("shapes", size=64)
    assert large.captions == data.captions
    shrunk = large.items.float().view(60, 3, 32, 2, 32, 2).mean((3, 5))
    assert (shrunk - data.items).abs().mean() < 2  # the same scenes, drawn finer
    assert open_data("shapes", channels=1).shape == (1, 32, 32)
