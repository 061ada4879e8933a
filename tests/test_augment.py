from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.augment import GROUPS, POLICIES, Adaptive, diff_augment, warp
from ganvas.errors import RequestError


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def seeded(augment: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The augmentation with the same draws at every call."""

    def call(x: Tensor) -> Tensor:
        torch.manual_seed(7)
        return augment(x)

    return call


def certain(*groups: str) -> Adaptive:
    return Adaptive(groups, p=1.0, limit=1.0)


def untouched(x: Tensor, y: Tensor) -> float:
    """The share of images that are equal in both."""
    return (x == y).flatten(1).all(1).float().mean().item()


def near(share: float, probability: float, n: int) -> bool:
    return abs(share - probability) < 4 * math.sqrt(probability * (1 - probability) / n)


AUGMENTATIONS = {**{name: lambda x, name=name: diff_augment(x, name) for name in POLICIES}}
AUGMENTATIONS |= {name: certain(name) for name in GROUPS}
AUGMENTATIONS |= {"diff": diff_augment, "ada": certain(*GROUPS)}

each = pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS.keys())


@each
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (5, 3, 9, 13), (4, 1, 28, 28)])
def test_shape_dtype_and_seed(augment: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
    x = torch.rand(shape) * 2 - 1
    before = x.clone()
    y = seeded(augment)(x)
    assert y.shape == x.shape and y.dtype == x.dtype and y.isfinite().all()
    assert torch.equal(x, before)
    assert torch.equal(y, seeded(augment)(x))


@each
def test_images_are_augmented_each_on_its_own(augment: Callable[[Tensor], Tensor]) -> None:
    y = augment((torch.rand(1, 3, 16, 16) * 2 - 1).expand(32, 3, 16, 16))
    assert len(torch.unique(y.flatten(1), dim=0)) > 1


@each
def test_gradient_is_that_of_an_affine_map(augment: Callable[[Tensor], Tensor]) -> None:
    """With fixed draws an augmentation is A x + b, so differences are exact, and its double backward is AᵀA."""
    fixed = seeded(augment)
    x, direction = torch.randn(2, 4, 3, 12, 12).unbind()
    x.requires_grad_()
    y = fixed(x)
    (gradient,) = torch.autograd.grad(y.square().sum() / 2, x, create_graph=True)  # Aᵀ y
    moved = fixed(x + direction) - y  # A d
    assert torch.allclose((gradient * direction).sum(), (y * moved).sum(), rtol=1e-3, atol=1e-2)
    (curvature,) = torch.autograd.grad((gradient * direction).sum(), x)  # AᵀA d
    assert torch.allclose((curvature * direction).sum(), moved.square().sum(), rtol=1e-3, atol=1e-2)


@each
def test_bfloat16_in_autocast(augment: Callable[[Tensor], Tensor]) -> None:
    fixed = seeded(augment)
    x = (torch.rand(2, 3, 8, 8) * 2 - 1).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = fixed(x)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, fixed(x.float()).bfloat16())  # the arithmetic was float32


# --- DiffAugment -----------------------------------------------------------------------------------------------------


def test_empty_policy_is_the_input_itself() -> None:
    x = torch.randn(2, 3, 8, 8)
    assert diff_augment(x, "") is x


def test_policy_is_a_sequence() -> None:
    x = torch.randn(4, 3, 16, 16)
    both = seeded(lambda x: diff_augment(x, "translation, cutout"))(x)
    one_after_the_other = seeded(lambda x: diff_augment(diff_augment(x, "translation"), "cutout"))(x)
    assert torch.equal(both, one_after_the_other)


def test_unknown_policy() -> None:
    with pytest.raises(RequestError, match="unknown augmentation 'colour'; did you mean color"):
        diff_augment(torch.zeros(1, 1, 8, 8), "cutout,colour")


def test_color_of_grey_images_is_contrast_and_brightness() -> None:
    x = torch.rand(4000, 1, 8, 8) * 2 - 1
    y = diff_augment(x, "color")
    shift = (y - x).mean((1, 2, 3))  # contrast keeps the mean, and saturation has nothing to do
    assert -0.5 <= shift.min() < -0.45 and 0.45 < shift.max() <= 0.5
    gain = y.std((1, 2, 3)) / x.std((1, 2, 3))
    assert 0.4999 < gain.min() < 0.55 and 1.45 < gain.max() < 1.5001
    deviation = (x - x.mean((1, 2, 3), keepdim=True)) * gain.view(-1, 1, 1, 1)
    assert torch.allclose(y - y.mean((1, 2, 3), keepdim=True), deviation, atol=1e-5)


def test_saturation() -> None:
    x = torch.rand(2000, 3, 8, 8) * 2 - 1
    grey = x.mean(1, keepdim=True).expand_as(x)
    y = diff_augment(grey, "color")
    assert torch.allclose(y[:, :1].expand_as(y), y, atol=1e-6)  # grey stays grey
    y = seeded(lambda x: diff_augment(x, "color"))(x)
    of_grey = seeded(lambda x: diff_augment(x, "color"))(grey)
    gain = (y - of_grey).std((1, 2, 3)) / (x - grey).std((1, 2, 3)) / (of_grey.std((1, 2, 3)) / grey.std((1, 2, 3)))
    assert gain.min() < 0.02 and 1.98 < gain.max() < 2.001


def test_translation_by_whole_pixels_up_to_an_eighth() -> None:
    x = torch.zeros(4000, 1, 16, 24)
    x[:, :, 8, 12] = 1
    found = diff_augment(x, "translation").nonzero()
    assert len(found) == len(x)  # the pixel is still there, once
    for position, limit, centre in ((found[:, 2], 2, 8), (found[:, 3], 3, 12)):
        share = torch.bincount(position - centre + limit) / len(x)
        assert len(share) == 2 * limit + 1
        assert all(near(s, 1 / len(share), len(x)) for s in share.tolist())


def test_translation_fills_with_grey_and_keeps_the_rest() -> None:
    x = torch.arange(1.0, 257.0).view(1, 1, 16, 16).expand(64, 1, 16, 16)
    for before, after in zip(x, diff_augment(x, "translation"), strict=True):
        rows, cols = after[0].any(1).nonzero().flatten(), after[0].any(0).nonzero().flatten()
        kept = after[0, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        down = 1 if rows[0] > 0 else -1  # which side of the original has gone
        right = 1 if cols[0] > 0 else -1
        source = before[0, : len(rows)] if down > 0 else before[0, -len(rows) :]
        source = source[:, : len(cols)] if right > 0 else source[:, -len(cols) :]
        assert torch.equal(kept, source)


def test_cutout_is_one_rectangle_of_half_the_size() -> None:
    x = torch.ones(3000, 3, 16, 12)
    hole = diff_augment(x, "cutout") == 0
    assert torch.equal(hole[:, :1].expand_as(hole), hole)
    rows, cols = hole[:, 0].any(2), hole[:, 0].any(1)
    assert torch.equal(hole[:, 0], rows[:, :, None] & cols[:, None, :])
    for line, size in ((rows, 16), (cols, 12)):
        assert (line.long().diff(dim=1).abs().sum(1) <= 2).all()  # contiguous
        length = line.sum(1)
        assert length.max() == size // 2 and length.min() == size // 4  # a centre on the border leaves half of it
        assert line.any(0).all()  # every place is hit


# --- ADA -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_at_p_zero_the_input_is_unchanged(channels: int) -> None:
    x = torch.randn(8, channels, 28, 28)
    assert torch.equal(Adaptive(GROUPS)(x), x)
    assert torch.equal(Adaptive(())(x), x)


def test_flip_strikes_half_of_those_drawn() -> None:
    x = torch.randn(2000, 1, 8, 8)
    y = certain("flip")(x)
    same = (y == x).flatten(1).all(1)
    assert torch.equal(y[~same], x[~same].flip(-1))
    assert near(same.float().mean().item(), 0.5, 2000)
    assert near(untouched(x, Adaptive(("flip",), p=0.4)(x)), 0.8, 2000)


def test_quarter_turns() -> None:
    x = torch.randn(2000, 3, 8, 8)
    y = certain("rotate90")(x)
    shares = [untouched(torch.rot90(x, k, (2, 3)), y) for k in range(4)]
    assert sum(shares) == pytest.approx(1)
    assert all(near(share, 0.25, 2000) for share in shares)


def test_geometric_probability() -> None:
    """Five independent transforms (the two rotations count as one); a whole-pixel shift of zero is one in four at 8."""
    x = torch.randn(4000, 1, 8, 8)
    p = 0.3
    assert near(untouched(x, Adaptive(("geometric",), p=p)(x)), (1 - p + p / 4) * (1 - p) ** 4, 4000)


def test_color_probability() -> None:
    x = torch.randn(4000, 1, 8, 8)
    p = 0.3  # brightness, contrast, and luma reversed for half of those drawn
    assert near(untouched(x, Adaptive(("color",), p=p)(x)), (1 - p) ** 2 * (1 - p / 2), 4000)
    rgb = torch.randn(4000, 3, 8, 8)  # and hue and saturation
    assert near(untouched(rgb, Adaptive(("color",), p=p)(rgb)), (1 - p) ** 4 * (1 - p / 2), 4000)


def test_geometric_moves_mass_both_ways_and_keeps_flat_images() -> None:
    flat = torch.linspace(-1, 1, 64).view(-1, 1, 1, 1).expand(64, 3, 20, 28)
    assert torch.allclose(certain("geometric")(flat), flat, atol=1e-6)
    x = torch.zeros(1000, 1, 28, 28)
    x[:, :, 12:16, 12:16] = 1
    y = certain("geometric")(x)
    weight = y / y.sum((2, 3), keepdim=True).clamp_min(1e-6)
    centre = (weight * (torch.arange(28) - 13.5)).sum((1, 2, 3))
    assert abs(centre.mean()) < 0.6 and 2 < centre.std() < 6


def test_geometric_translation_is_in_proportion_to_each_side() -> None:
    x = torch.zeros(4000, 1, 16, 64)
    x[:, :, 7:9, 31:33] = 1  # at the centre, which nothing but a translation moves
    y = Adaptive(("geometric",), p=0.1)(x)
    weight = y / y.sum((2, 3), keepdim=True).clamp_min(1e-6)
    across = (weight * (torch.arange(64) - 31.5)).sum((1, 2, 3)).std()
    down = (weight * (torch.arange(16) - 7.5)[:, None]).sum((1, 2, 3)).std()
    assert 3 < across / down < 5


def test_geometric_scale() -> None:
    """The area of a small disc: the isotropic scale of 0.2 octaves strikes it twice over, the anisotropic one not."""
    u = torch.arange(64) - 31.5
    disc = torch.sigmoid(8 - (u.square() + u.square()[:, None]).sqrt()).expand(1000, 1, 64, 64)
    octaves = torch.log2(certain("geometric")(disc).sum((1, 2, 3)) / disc.sum((1, 2, 3)))
    octaves = octaves[octaves.abs() < 1.5]  # not those that the border cut off or mirrored
    assert abs(octaves.median()) < 0.05 and 0.3 < octaves.std() < 0.5


def colour_maps(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The least-squares matrices (N, C, C) and offsets (N, C) from the pixels of x to those of y."""
    pixels = x.flatten(2).mT
    design = torch.cat([pixels, torch.ones_like(pixels[..., :1])], 2)
    solution = torch.linalg.lstsq(design, y.flatten(2).mT).solution  # (N, C + 1, C)
    assert torch.allclose(design @ solution, y.flatten(2).mT, atol=1e-3)  # it is one map for all pixels of an image
    return solution[:, :-1].mT, solution[:, -1]


def test_color_of_grey_images() -> None:
    x = torch.rand(3000, 1, 8, 8) * 2 - 1
    matrix, offset = colour_maps(x, certain("color")(x))
    gain = matrix.flatten()
    assert near((gain < 0).float().mean().item(), 0.5, 3000)
    assert gain.abs().log2().std().item() == pytest.approx(0.5, rel=0.05)
    assert (offset.flatten() / gain).std().item() == pytest.approx(0.2, rel=0.05)


def test_color_keeps_the_grey_axis_and_turns_around_it() -> None:
    x = torch.rand(2000, 3, 8, 8) * 2 - 1
    matrix, offset = colour_maps(x, certain("color")(x))
    grey = matrix.sum(2)  # where (1, 1, 1) goes
    assert torch.allclose(grey, grey.mean(1, keepdim=True).expand_as(grey), atol=1e-4)
    assert torch.allclose(offset, offset.mean(1, keepdim=True).expand_as(offset), atol=1e-4)
    assert near((grey.mean(1) < 0).float().mean().item(), 0.5, 2000)
    u = torch.tensor([1.0, -1.0, 0.0]) / math.sqrt(2)  # across the axis: a turn, a contrast and a saturation
    v = torch.tensor([1.0, 1.0, -2.0]) / math.sqrt(6)
    cos, sin, gain = (matrix @ u) @ u, (matrix @ u) @ v, (matrix @ u).norm(dim=1)
    assert torch.allclose((matrix @ u).sum(1), torch.zeros(2000), atol=1e-4)
    assert gain.log2().std().item() == pytest.approx(math.hypot(0.5, 1.0), rel=0.06)
    angle = torch.atan2(sin, cos)
    quarters = torch.histc(angle, 4, -math.pi, math.pi) / 2000
    assert all(near(share, 0.25, 2000) for share in quarters.tolist())


def test_warp_agrees_with_grid_sample() -> None:
    """torch's sampler in its normalised coordinates, mirrored at the edges too."""
    n, h, w = 16, 12, 20
    x = torch.randn(n, 3, h, w)
    matrix = torch.eye(3).repeat(n, 1, 1)
    matrix[:, :2, :2] += 0.4 * torch.randn(n, 2, 2)
    matrix[:, :2, 2] = 10 * torch.randn(n, 2)
    to_pixels = torch.diag(torch.tensor([w / 2, h / 2, 1]))
    theta = (to_pixels.inverse() @ matrix @ to_pixels)[:, :2]
    grid = F.affine_grid(theta, [n, 3, h, w], align_corners=False)
    expected = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    assert torch.allclose(warp(x, matrix), expected, atol=1e-4)


def test_warp_by_whole_pixels_is_exact_and_mirrors() -> None:
    x = torch.randn(1, 1, 8, 8)
    matrix = torch.eye(3)[None].clone()
    assert torch.equal(warp(x, matrix), x)
    matrix[0, 0, 2] = 3  # three columns to the right of each pixel
    assert torch.equal(warp(x, matrix), torch.cat([x[..., 3:], x[..., 5:].flip(-1)], -1))
    matrix[0, 0, 2] = 16  # once around the mirrors
    assert torch.equal(warp(x, matrix), x)


def test_update_moves_p_by_the_images_of_an_interval() -> None:
    ada = Adaptive(images=1000, interval=4)
    for _ in range(3):
        ada.update(torch.ones(32))
    assert ada.p == 0
    ada.update(torch.ones(32))
    assert ada.p.item() == pytest.approx(128 / 1000)
    assert ada.sign == 1
    for _ in range(4):
        ada.update(-torch.ones(16))
    assert ada.p.item() == pytest.approx(64 / 1000)
    assert ada.sign == -1


def test_p_stays_between_zero_and_the_limit() -> None:
    ada = Adaptive(images=100, interval=1, limit=0.5)
    ada.update(-torch.ones(64))
    assert ada.p == 0
    ada.update(torch.ones(64))
    assert ada.p == 0.5


def test_p_rests_at_the_target_and_when_it_is_fixed() -> None:
    ada = Adaptive(p=0.3, target=0.5, interval=1, images=100)
    ada.update(torch.tensor([1.0, 2.0, 3.0, -4.0]))  # mean sign 1/2
    assert ada.p.item() == pytest.approx(0.3)
    ada = Adaptive(p=0.3, interval=1, images=math.inf)
    ada.update(torch.ones(64))
    assert ada.p.item() == pytest.approx(0.3)


def test_stats_are_snapshots() -> None:
    ada = Adaptive(images=100, interval=1)
    before = ada.stats()
    ada.update(torch.ones(8))
    assert before["augment/p"] == 0 and before["augment/sign"] == 0
    assert ada.stats()["augment/p"].item() == pytest.approx(0.08) and ada.stats()["augment/sign"] == 1


def test_a_checkpoint_in_the_middle_of_an_interval_goes_on_exactly() -> None:
    ada, restored = Adaptive(images=1000), Adaptive(images=1000)
    for _ in range(6):
        ada.update(torch.randn(32) + 1)
    restored.load_state_dict(ada.state_dict())
    for _ in range(7):
        logits = torch.randn(32) + 1
        ada.update(logits)
        restored.update(logits)
    assert ada.p > 0
    assert all(
        torch.equal(a, b) for a, b in zip(ada.state_dict().values(), restored.state_dict().values(), strict=True)
    )


def test_impossible_options() -> None:
    with pytest.raises(RequestError, match="unknown augmentation group 'colour'; did you mean color"):
        Adaptive(("colour",))
    with pytest.raises(RequestError, match="p <= limit"):
        Adaptive(p=0.9)
