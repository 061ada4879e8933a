"""Crops against their description: where they lie, how large and how turned, and what noise is on them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import RequestError
from ganvas.painting import Crops, Prompts, clip_score, parse_prompt
from ganvas.painting.crops import add_noise, cut, draw, surrounded

MANY = 20_000


def geometry(maps: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of maps (N, 2, 3): the side in pixels, the angle in degrees, and the handedness, +1 or -1."""
    pixels = maps[:, :, :2] * torch.tensor([width / 2, height / 2])[:, None]  # both axes in pixels of the picture
    side = 2 * pixels.det().abs().sqrt()
    mirror = pixels.det().sign()
    return side, torch.rad2deg(torch.atan2(-pixels[:, 1, 0], pixels[:, 1, 1])), mirror


def test_crops_are_as_described() -> None:
    height, width = 224, 400
    maps, deviations, _ = draw(Crops(MANY), height, width, seed=0, step=0)
    side, angle, mirror = geometry(maps, height, width)
    expected = (1.2 + 0.3 * torch.randn(200_000)).clamp(0.43, 1.9)
    assert (side / height).mean() == pytest.approx(expected.mean().item(), abs=0.01)
    assert (side / height).std() == pytest.approx(expected.std().item(), abs=0.01)
    assert side.min() >= 0.43 * height - 0.01 and side.max() <= 1.9 * height + 0.01
    assert angle.abs().max() <= 30.01 and angle.std() == pytest.approx(60 / 12**0.5, rel=0.02)  # uniform
    assert (mirror < 0).float().mean() == pytest.approx(0.5, abs=0.02)
    assert deviations.max() <= 0.22 and deviations.mean() == pytest.approx(0.11, rel=0.02)


def test_crops_lie_within_the_padded_picture_and_reach_all_of_it() -> None:
    crops = Crops(MANY, degrees=0, shift=0, flip=0)
    maps = draw(crops, 60, 100, seed=1, step=0).maps
    corners = torch.tensor([[-1.0, -1, 1], [1, 1, 1]]).T
    places = maps @ corners * torch.tensor([50.0, 30.0])[:, None]  # (N, 2, 2) in pixels from the centre
    right, low = places[:, 0].abs().amax(), places[:, 1].abs().amax()
    assert 78 < right <= 80.001 and 58 < low <= 60.001  # half of 100, or 60, and half of 60 around it


def test_an_unturned_crop_is_a_cut_of_the_padded_picture() -> None:
    x = torch.rand(1, 3, 8, 12)
    padded = F.pad(x, (4, 4, 4, 4), "replicate")
    top, left, side = 3, 5, 10  # in the padded picture
    centre = torch.tensor([left + side / 2 - 10, top + side / 2 - 8]) / torch.tensor([6.0, 4.0])
    maps = torch.tensor([[[side / 12, 0, centre[0]], [0, side / 8, centre[1]]]])
    assert torch.allclose(cut(x, maps, side), padded[:, :, top : top + side, left : left + side], atol=1e-5)
    grey = F.pad(x, (4, 4, 4, 4))[:, :, top : top + side, left : left + side]
    assert torch.allclose(cut(x, maps, side, "zeros"), grey, atol=1e-5)


def test_crops_turn_and_mirror_without_stretching() -> None:
    """A bright square block stays square, and as large, in a picture that is not square itself."""
    x = torch.zeros(1, 1, 64, 96)
    x[..., 26:38, 42:54] = 1
    crops = Crops(40, padding=0.5, shift=0, fill="zeros")
    maps = draw(crops, 64, 96, seed=5, step=0).maps
    side, _, _ = geometry(maps, 64, 96)
    views = cut(x, maps, 128, "zeros")
    area = views.sum((1, 2, 3)) * (side / 128) ** 2  # back in pixels of the picture
    inside = views[:, 0, [0, -1]].sum((1, 2)) + views[:, 0, :, [0, -1]].sum((1, 2)) == 0
    assert (inside & (area > 1)).sum() > 15
    assert (area[inside & (area > 1)] - 144).abs().max() < 8


def test_some_crops_show_the_whole_as_it_is() -> None:
    x = torch.rand(1, 3, 16, 16)
    crops = Crops(8, whole=0.25)
    drawn = draw(crops, 16, 16, seed=0, step=0)
    views = cut(x, drawn.maps, 16)
    assert (drawn.deviations > 0).tolist() == [False] * 2 + [True] * 6
    assert all(torch.allclose(view, x[0], atol=1e-5) for view in views[:2])
    assert not any(torch.allclose(view, x[0], atol=0.1) for view in views[2:])


@pytest.mark.parametrize("shape", [(6, 10), (10, 6)])
def test_the_whole_of_a_wide_picture_is_shown_with_its_border_repeated(shape: tuple[int, int]) -> None:
    x = torch.rand(1, 3, *shape)
    view = cut(x, draw(Crops(1, whole=1.0), *shape, seed=0, step=0).maps, 10)
    assert torch.allclose(view, surrounded(x), atol=1e-5)
    assert surrounded(x).shape == (1, 3, 10, 10) and torch.equal(surrounded(x[..., :6, :6]), x[..., :6, :6])


def test_crops_are_a_function_of_seed_and_step() -> None:
    first, again, next_step, other = (draw(Crops(), 32, 32, *at) for at in ((0, 3), (0, 3), (0, 4), (1, 3)))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.maps, next_step.maps) and not torch.equal(first.maps, other.maps)


def test_noise_has_its_deviation_and_its_layers() -> None:
    x = torch.zeros(2, 3, 64, 64)
    y = add_noise(x, torch.tensor([0.0, 0.2]), torch.tensor([1, 2]))
    assert y[0].abs().max() == 0 and y[1].std() == pytest.approx(0.2, rel=0.03)
    plain, layered = (draw(Crops(MANY, layers=layers), 32, 32, 0, 0).deviations for layers in (0, 3))
    assert (plain == 0.22).all() and layered.mean() == pytest.approx(0.22 / 8, rel=0.05)


@pytest.mark.parametrize("options", [{"count": 0}, {"whole": 1.5}, {"whole": -0.1}])
def test_impossible_crops_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(RequestError, match="give"):
        Crops(**options)  # type: ignore[arg-type]


ROWS = {"a": (1.0, 0, 0), "b": (0, 1.0, 0), "c": (0, 0, 1.0)}


class Table:
    """ImageTextModel whose texts are rows of a table, and whose images are their own first three pixels."""

    size, device = 1, torch.device("cpu")

    def image(self, x: Tensor) -> Tensor:
        return F.normalize(x[:, :, 0, 0], dim=1)

    def text(self, texts: list[str]) -> Tensor:
        return torch.tensor([ROWS[text] for text in texts])


def test_the_score_is_the_formula_of_the_source() -> None:
    """-α·cos(w₁·include + w₂·extras) + β·cos(exclude), and for spherical distances half the squared angle."""
    wish = Prompts.of(["a::2"], ["c"], ["b"])
    x = torch.randn(5, 3, 1, 1)
    unit = F.normalize(x[:, :, 0, 0], dim=1)
    include, exclude = unit @ (torch.tensor([2.0, 1, 0]) / 5**0.5), unit @ torch.tensor([0.0, 0, 1])
    judged = clip_score(Table(), wish)(x)
    assert torch.allclose(judged.score, include - 0.5 * exclude, atol=1e-6)
    assert torch.allclose(judged.loss, (1 - include) - 0.5 * (1 - exclude), atol=1e-6)
    spherical = clip_score(Table(), wish, "spherical")(x).loss
    assert torch.allclose(spherical, torch.acos(include) ** 2 / 2 - torch.acos(exclude) ** 2 / 4, atol=1e-4)


def test_a_picture_is_a_prompt_too() -> None:
    picture = torch.tensor([0.0, 3.0, 0.0])[:, None, None]
    prompt = parse_prompt("photo.png::2")._replace(picture=picture)
    x = torch.randn(4, 3, 1, 1)
    assert torch.allclose(
        clip_score(Table(), Prompts((prompt,)))(x).score, clip_score(Table(), Prompts.of(["b"]))(x).score
    )


def test_spherical_gradients_are_finite_where_picture_and_words_agree() -> None:
    x = torch.tensor([1.0, 0, 0])[None, :, None, None].requires_grad_()
    clip_score(Table(), Prompts.of(["a"], ["c"]), "spherical")(x).loss.sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_prompts_have_weights() -> None:
    assert parse_prompt("a red circle") == ("a red circle", 1.0, None)
    assert parse_prompt(" a red circle ::0.5") == ("a red circle", 0.5, None)
    assert parse_prompt("std::vector::2")[:2] == ("std::vector", 2.0)
    assert math.isclose(Prompts.of(["a", "b::3"]).include[1].weight, 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a::heavy", "is not a weight"),
        ("::2", "no words"),
        ("  ", "no words"),
        ("a::-1", "above 0"),
        ("a::nan", "above 0"),
    ],
)
def test_prompts_that_say_nothing_are_refused(text: str, reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        parse_prompt(text)


def test_nothing_to_paint_and_unknown_distances_are_refused() -> None:
    with pytest.raises(RequestError, match="nothing to paint"):
        clip_score(Table(), Prompts(()))
    with pytest.raises(RequestError, match="did you mean cosine"):
        clip_score(Table(), Prompts.of(["a"]), "cosin")
