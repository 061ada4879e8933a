"""MS-SSIM agrees with torchmetrics' maps, path lengths with closed forms."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.functional as F
from torchmetrics.functional.image import structural_similarity_index_measure as ssim

from ganvas.errors import RequestError, WorkError
from ganvas.metrics import images as module
from ganvas.metrics import inputs, ms_ssim, ms_ssim_diversity, path_length

PUBLISHED = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def pictures(n: int, channels: int, side: int, seed: int) -> torch.Tensor:
    """Smooth noise in [-1, 1], as photographs are rather than white."""
    noise = torch.randn(n, channels, side // 4 + 1, side // 4 + 1, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, (side, side), mode="bilinear").clamp(-1, 1)


def oracle(x: torch.Tensor, y: torch.Tensor, scales: int) -> torch.Tensor:
    """MS-SSIM of torchmetrics' maps, of the windows within the image alone: its own mixes in reflected borders."""
    raised = sum(PUBLISHED) / sum(PUBLISHED[:scales])
    result = torch.ones(len(x))
    x, y = (x + 1) / 2, (y + 1) / 2
    for scale in range(scales):
        _, contrast = ssim(x, y, data_range=1.0, reduction="none", return_contrast_sensitivity=True)
        _, full = ssim(x, y, data_range=1.0, reduction="none", return_full_image=True)
        factor = full[..., 5:-5, 5:-5].mean((1, 2, 3)) if scale == scales - 1 else contrast
        result = result * factor.clamp(min=0) ** (PUBLISHED[scale] * raised)
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return result


@pytest.mark.parametrize(("side", "channels", "scales"), [(16, 1, 1), (28, 1, 2), (64, 3, 3), (176, 1, 5)])
def test_ms_ssim_agrees_with_torchmetrics(side: int, channels: int, scales: int) -> None:
    x = pictures(3, channels, side, 0)
    y = (0.5 * x + 0.5 * pictures(3, channels, side, 1)).contiguous()
    expected = oracle(x, y, scales)
    assert expected.min() > 0.1 and expected.max() < 0.98
    torch.testing.assert_close(ms_ssim(x, y), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize(("side", "power"), [(1, 1), (8, 1), (28, 0.2856 / (0.0448 + 0.2856))])
def test_ms_ssim_of_equal_opposite_and_constant_images(side: int, power: float) -> None:
    x = pictures(2, 1, side, 0)
    torch.testing.assert_close(ms_ssim(x, x), torch.ones(2))
    torch.testing.assert_close(ms_ssim(x, pictures(2, 1, side, 1)), ms_ssim(pictures(2, 1, side, 1), x))
    if side > 1:
        assert ms_ssim(x, -x).max() < 0.1
    black, white = -torch.ones(1, 1, side, side), torch.ones(1, 1, side, side)
    assert ms_ssim(black, white).item() == pytest.approx(1e-4**power, rel=0.01)  # C₁, of luminances 0 and 1
    assert ms_ssim(black, black).item() == pytest.approx(1)


def test_ms_ssim_diversity_tells_a_collapse_from_variety() -> None:
    varied = pictures(20, 1, 28, 0)
    collapsed = pictures(1, 1, 28, 0).expand(20, 1, 28, 28)
    assert ms_ssim_diversity(collapsed) == pytest.approx((1, 0), abs=1e-5)
    value, error = ms_ssim_diversity(varied, pairs=200)
    assert 0 <= value < 0.5 and 0 < error < 0.1


def test_ms_ssim_diversity_never_pairs_an_image_with_itself() -> None:
    x = pictures(2, 1, 28, 0)
    assert ms_ssim_diversity(x, pairs=50).value == pytest.approx(ms_ssim(x[:1], x[1:]).item(), rel=1e-5)


def test_ms_ssim_diversity_is_the_mean_of_its_pairs() -> None:
    """An image's moments serve all of its pairs, and a pair that recurs is compared once."""
    x, generator = pictures(4, 3, 64, 0), torch.Generator().manual_seed(7)
    first = torch.randint(4, (50,), generator=generator)
    other = (first + torch.randint(1, 4, (50,), generator=generator)) % 4
    assert ms_ssim_diversity(x, pairs=50, seed=7).value == pytest.approx(
        oracle(x[first].double(), x[other].double(), 3).mean().item(), rel=1e-5
    )


class Counted:
    """Images that are drawn when they are asked for, and the numbers that were held at one time."""

    def __init__(self, x: torch.Tensor) -> None:
        self.x, self.held = x, []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice) -> torch.Tensor:
        self.held.append(self.x[rows].numel())
        return self.x[rows]


@pytest.mark.parametrize("side", [16, 32, 64])
def test_large_images_are_compared_few_at_a_time(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by numbers, not by images or pairs, and the figure stays what it is."""
    worked: list[int] = []
    windowed = module._windowed

    def watched(x: torch.Tensor) -> torch.Tensor:
        worked.append(x.numel())
        return windowed(x)

    images = Counted(pictures(60, 3, side, 0))
    whole = ms_ssim_diversity(images.x, pairs=600)
    monkeypatch.setattr(inputs, "NUMBERS", 60 * 3 * 16**2)
    monkeypatch.setattr(module, "CACHED", 4 * 16**2)
    monkeypatch.setattr(module, "_windowed", watched)
    images.held.clear()
    found = ms_ssim_diversity(images, pairs=600)
    assert max(images.held) <= inputs.NUMBERS
    assert sum(images.held[1:]) == images.x.numel()  # after one for the shape, each is read once
    assert max(worked) <= max(module.CACHED, side**2)
    assert found.value == pytest.approx(whole.value, abs=4 * (found.error + whole.error))
    if side == 16:  # one group, and the same pairs
        assert found == pytest.approx(whole, rel=1e-5)
    worked.clear()
    pairs = ms_ssim(images.x[:30], images.x[30:])
    assert max(worked) <= max(module.CACHED, side**2)
    x, scales = images.x.double(), len(bin(side)) - 6
    torch.testing.assert_close(pairs, oracle(x[:30], x[30:], scales).float(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_every_group_holds_a_pair(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "NUMBERS", 1)  # not even one image
    images = Counted(pictures(count, 1, 12, 0))
    assert 0 <= ms_ssim_diversity(images, pairs=20).value < 1
    assert min(images.held[1:]) >= 2 * 12**2


def test_ms_ssim_loses_nothing_to_rounding() -> None:
    """The variances of smooth images are small differences of large numbers."""
    x, y = 0.1 * pictures(4, 1, 64, 0) + 0.5, 0.1 * pictures(4, 1, 64, 1) + 0.5
    torch.testing.assert_close(ms_ssim(x, y).double(), ms_ssim(x.double(), y.double()), rtol=5e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_ms_ssim_of_few_bits_is_that_of_the_same_values(dtype: torch.dtype) -> None:
    """The variances that it compares are differences, of which 8 bits leave nothing."""
    x, y = pictures(4, 1, 28, 0).to(dtype), pictures(4, 1, 28, 0).add(0.1 * pictures(4, 1, 28, 1)).to(dtype)
    torch.testing.assert_close(ms_ssim(x, y), ms_ssim(x.float(), y.float()))
    torch.testing.assert_close(ms_ssim(x, y.double()), ms_ssim(x.float(), y.float()), check_dtype=False)


def test_ms_ssim_refuses() -> None:
    x = pictures(2, 1, 16, 0)
    for a, b in [(x, x[:1]), (x[0], x[0]), (x[:0], x[:0]), (x.byte(), x.byte()), (x, x.byte())]:
        with pytest.raises(RequestError, match="cannot compare"):
            ms_ssim(a, b)
    with pytest.raises(WorkError, match="NaN"):
        ms_ssim(x, x * math.nan)
    for images, pairs in [(x[:1], 5), (x, 1), (x[0], 5)]:
        with pytest.raises(RequestError, match="pairs"):
            ms_ssim_diversity(images, pairs)


@dataclass
class Line:
    """A decoder whose items are its latents times a gain, and whose latents are at right angles in turn."""

    gain: float = 1.0
    radius: float = 2.0
    labels: list[torch.Tensor] = field(default_factory=list)
    draws: int = 0

    def prior(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        self.draws += 1
        return self.radius * torch.eye(3)[self.draws % 2].expand(n, 3)

    def __call__(self, z: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        if label is not None:
            self.labels.append(label)
        return self.gain * z


def squared(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x - y).square().flatten(1).sum(1)


@pytest.mark.parametrize(("gain", "radius"), [(1.0, 1.0), (3.0, 1.0), (1.0, 5.0)])
def test_path_length_of_a_quarter_circle(gain: float, radius: float) -> None:
    """A quarter of a circle of radius gain·r at an even speed: (π/2 · gain · r)² a squared unit of t, everywhere."""
    found = path_length(Line(gain, radius), squared, pairs=100, epsilon=1e-3)
    assert found.value == pytest.approx((math.pi / 2 * gain * radius) ** 2, rel=1e-3)
    assert found.error < 1e-3 * found.value


def test_path_length_of_a_collapsed_decoder_and_of_parallel_latents_is_0() -> None:
    assert path_length(Line(gain=0), squared, pairs=10) == (0, 0)
    still = Line()
    still.prior = lambda n, generator=None: torch.ones(n, 3)
    assert path_length(still, squared, pairs=10).value == pytest.approx(0, abs=1e-3)


def test_path_length_gives_both_ends_of_a_path_one_label_and_leaves_outliers_out() -> None:
    line = Line()
    path_length(line, squared, pairs=10, labels=torch.arange(5), batch=4)
    assert [len(label) for label in line.labels] == [4, 4, 4, 4, 2, 2]
    assert all(torch.equal(a, b) for a, b in zip(line.labels[::2], line.labels[1::2], strict=True))

    def jumps(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.tensor([1e9]), torch.ones(len(x) - 1)])

    assert path_length(Line(), jumps, pairs=1000, batch=1000, epsilon=1.0) == pytest.approx((1, 0))


def test_few_paths_are_decoded_at_a_time_and_the_same_are_drawn() -> None:
    """`decoded` bounds the memory, and changes neither latents nor labels."""
    some, all_ = Line(), Line()
    found = path_length(some, squared, pairs=100, labels=torch.arange(5), decoded=7)
    assert found == pytest.approx(path_length(all_, squared, pairs=100, labels=torch.arange(5)), rel=1e-6)
    assert max(map(len, some.labels)) == 7 and max(map(len, all_.labels)) == 64
    labels = [torch.cat(line.labels[::2]) for line in (some, all_)]
    assert torch.equal(*labels)


def test_path_length_refuses() -> None:
    for options in ({"pairs": 1}, {"epsilon": 0.0}):
        with pytest.raises(RequestError, match="paths"):
            path_length(Line(), squared, **options)
    with pytest.raises(WorkError, match="NaN"):
        path_length(Line(gain=math.nan), squared, pairs=4)
