"""Painting: the strokes against finite differences and against themselves, and what holds them back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.errors import RequestError
from ganvas.nets import ConditionalGenerator, DCGANGenerator, MLPGenerator
from ganvas.painting import Brush, Crops, Prompts, Stroke, clip_score, draw_latent, find_start, grid_for, paint
from ganvas.painting.crops import add_noise, cut, draw
from ganvas.painting.start import measure_prior
from ganvas.painting.strokes import image_gradient, regularization
from ganvas.progress import drain
from ganvas.types import Decoder

WORDS = {"red": (1.0, -0.5, -0.5), "green": (-0.5, 1.0, -0.5), "blue": (-0.5, -0.5, 1.0), "purple": (0.5, -1.0, 0.5)}


class Colours:
    """ImageTextModel that know three words and the mean colour of a picture."""

    size, device = 6, torch.device("cpu")

    def image(self, x: Tensor) -> Tensor:
        return F.normalize(x.expand(-1, 3, -1, -1).mean((2, 3)) + 0.01, dim=1)

    def text(self, texts: Sequence[str]) -> Tensor:
        return F.normalize(torch.tensor([WORDS[text] for text in texts]), dim=1)


class Grid(nn.Module):
    """A decoder of a grid (4, 2, 2), as a VQGAN's: every cell is four pixels a side."""

    shape = (3, 8, 8)

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.rand(n, 4, 2, 2, generator=generator)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return F.interpolate(z[:, :3], scale_factor=4.0).tanh()


class Narrow(nn.Module):
    """A decoder of which the prior draws the first number ten times smaller than the others, as a rare word's."""

    shape = (3, 8, 8)

    def __init__(self, inner: MLPGenerator) -> None:
        super().__init__()
        self.inner = inner

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return self.inner.prior(n, generator) * torch.tensor([0.1, 1, 1, 1, 1, 1])

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.inner(z, label)


@pytest.fixture(scope="module")
def generator() -> MLPGenerator:
    torch.manual_seed(0)
    decoder = MLPGenerator((3, 8, 8), latent=6, hidden=(24,), norm=False).eval().requires_grad_(False)
    for weight in decoder.parameters():
        weight.mul_(3)
    return decoder


def strokes(generator: Decoder, words: str = "red", **options: object) -> list[Stroke]:
    given = {"start": draw_latent(generator, 0), "steps": 6, "brush": Brush(lr=0.1), **options}
    return list(paint(generator, Colours(), Prompts.of([words]), **given))  # type: ignore[arg-type]


class Doubles(Colours):
    """ImageTextModel in double precision, with a layer between the picture and its embedding."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 36, 3), nn.Tanh()).double()

    def image(self, x: Tensor) -> Tensor:
        return F.normalize(self.network(x), dim=1)

    def text(self, texts: Sequence[str]) -> Tensor:
        return super().text(texts).double()


@pytest.mark.parametrize("distance", ["cosine", "spherical"])
def test_the_gradient_of_the_whole_chain_is_that_of_finite_differences(distance: str) -> None:
    """From the latent through decoder, mirror, turn, crop, noise, towers, distance and regularisers."""
    decoder = MLPGenerator((3, 8, 8), latent=3, hidden=(5,), activate="tanh", norm=False).double()
    crops, brush, known = Crops(5, whole=0.2), Brush(variation=0.3, prior=0.5), measure_prior(decoder)
    judge, views = clip_score(Doubles(), Prompts.of(["red"], ["blue"]), distance), draw(crops, 8, 8, seed=3, step=7)

    def loss(z: Tensor) -> float:
        image = decoder(z)
        seen = add_noise(cut(image, views.maps, 6), views.deviations, views.seeds)
        return (judge(seen).loss.mean() + regularization(brush, known, z, image)).item()

    z = torch.randn(1, 3, dtype=torch.float64, requires_grad=True)
    image = decoder(z)
    gradient, _ = image_gradient(judge, image.detach(), views, crops, 6, chunk=2)
    torch.autograd.backward([image, regularization(brush, known, z, image)], [gradient, None])
    assert z.grad is not None
    for i in range(3):
        nudge = 1e-5 * F.one_hot(torch.tensor([i]), 3)
        slope = (loss(z.detach() + nudge) - loss(z.detach() - nudge)) / 2e-5
        assert z.grad[0, i].item() == pytest.approx(slope, rel=1e-6, abs=1e-10)


def test_chunks_change_nothing() -> None:
    """Odd sizes, so that noise drawn for several crops at once would differ."""
    crops, image = Crops(7), torch.rand(1, 3, 7, 9) * 2 - 1
    judge, views = clip_score(Colours(), Prompts.of(["red"], ["green"])), draw(crops, 7, 9, seed=0, step=0)
    at_once, score = image_gradient(judge, image.clone(), views, crops, 5, chunk=7)
    for chunk in (1, 3, 0):
        gradient, again = image_gradient(judge, image.clone(), views, crops, 5, chunk)
        assert torch.allclose(gradient, at_once, atol=1e-7) and again == pytest.approx(score, abs=1e-6)
    assert at_once.abs().sum() > 0


def test_painting_finds_the_words_and_leaves_what_is_excluded(generator: MLPGenerator) -> None:
    painted = strokes(generator, "red", steps=40)
    assert [stroke.step for stroke in painted] == list(range(41))
    assert painted[-1].score > painted[0].score + 0.1
    red, green, blue = painted[-1].image.mean((1, 2)).tolist()
    assert red > max(green, blue)

    def redness(exclude: list[str]) -> float:
        wish = Prompts.of(["purple"], exclude)
        *_, last = paint(generator, Colours(), wish, draw_latent(generator, 0), steps=40, brush=Brush(lr=0.1))
        return clip_score(Colours(), Prompts.of(["red"]))(last.image[None]).score.item()

    assert redness(["red"]) < redness([]) - 0.05


def test_the_same_seed_is_the_same_picture(generator: MLPGenerator) -> None:
    first, second, other = strokes(generator), strokes(generator), strokes(generator, seed=1)
    assert all(torch.equal(a.latent, b.latent) and a.score == b.score for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[-1].latent, other[-1].latent)
    assert torch.equal(first[3].image, generator(first[3].latent[None])[0])  # a stroke's image is its latent's


def test_painting_goes_on_exactly_where_it_stopped(generator: MLPGenerator) -> None:
    whole, half = strokes(generator, steps=6), strokes(generator, steps=3)[-1]
    rest = strokes(generator, start=half.latent[None], step=3, moments=half.moments, steps=6)
    assert [stroke.step for stroke in rest] == [3, 4, 5, 6]
    assert torch.equal(rest[-1].latent, whole[-1].latent) and rest[-1].score == whole[-1].score
    forgetful = strokes(generator, start=half.latent[None], step=3, steps=6)
    assert not torch.equal(forgetful[-1].latent, whole[-1].latent)


def test_a_latent_stays_where_the_decoder_was_trained(generator: MLPGenerator) -> None:
    prior = measure_prior(generator)
    assert prior.norm == pytest.approx(6**0.5, rel=0.1)
    far = 2 * draw_latent(generator, 0)
    held, free = (
        strokes(generator, start=far, steps=40, brush=Brush(lr=0.1, prior=weight, bound=False))[-1].latent.norm().item()
        for weight in (1.0, 0.0)
    )
    assert abs(held - prior.norm) < 0.5 < free - prior.norm
    bound = strokes(generator, start=far, steps=2, brush=Brush(prior=0.0))[-1].latent
    assert (bound >= prior.low[0]).all() and (bound <= prior.high[0]).all()


def test_relative_strokes_are_as_long_as_the_numbers_are_spread(generator: MLPGenerator) -> None:
    narrow = Narrow(generator)
    moved = {
        relative: strokes(narrow, steps=1, brush=Brush(lr=0.02, bound=False, relative=relative))
        for relative in (False, True)
    }
    alike, spread = ((last.latent - first.latent).abs() for first, last in moved.values())
    assert torch.allclose(alike, torch.full_like(alike, 0.02), rtol=1e-2)  # as Adam's first step is
    assert torch.allclose(spread, alike * measure_prior(narrow).deviation[0], rtol=1e-4)
    assert spread[0] < 0.2 * spread[1]


def test_a_grid_is_bound_channel_by_channel_and_has_any_size(capsys: pytest.CaptureFixture[str]) -> None:
    decoder = Grid()
    prior = measure_prior(decoder)
    assert prior.low.shape == (1, 4, 1, 1) and prior.low.min() >= 0 and prior.high.max() <= 1
    assert grid_for(decoder, decoder.shape, 8, 8) is None
    assert grid_for(decoder, decoder.shape, 21, 13) == (3, 5)
    z = draw_latent(decoder, 5, (3, 5))
    assert z.shape == (1, 4, 3, 5) and torch.equal(z, draw_latent(decoder, 5, (3, 5)))
    assert len(z.unique()) == z.numel()  # no tile is the copy of another
    brush = Brush(lr=0.5, weight_decay=0.1)
    *_, last = paint(decoder, Colours(), Prompts.of(["blue"]), z, steps=10, brush=brush)
    assert last.image.shape == (3, 12, 20)
    assert (last.latent[:, :, :] >= prior.low[0]).all() and last.image[2].mean() > last.image[0].mean()


def test_a_vector_has_one_size(generator: MLPGenerator) -> None:
    assert grid_for(generator, generator.shape, 8, 8) is None
    with pytest.raises(RequestError, match="draws 8x8 only"):
        grid_for(generator, generator.shape, 16, 8)


def test_the_best_of_several_is_that_which_suits_most(generator: MLPGenerator) -> None:
    judge = clip_score(Colours(), Prompts.of(["green"]))
    best = drain(find_start(generator, lambda images: judge(images).score, 40, seed=2))
    scores = judge(generator(torch.cat([draw_latent(generator, 80 + i) for i in range(40)]))).score
    assert judge(generator(best)).score.item() == pytest.approx(scores.max().item())


def test_children_of_the_best_are_better_and_no_less_likely(generator: MLPGenerator) -> None:
    judge = clip_score(Colours(), Prompts.of(["green"]))

    def begun(generations: int) -> Tensor:
        return drain(find_start(generator, lambda images: judge(images).score, 20, seed=3, generations=generations))

    scores = [judge(generator(begun(n))).score.item() for n in (0, 2, 8)]
    assert scores[0] < scores[1] < scores[2]
    assert torch.equal(begun(4), begun(4))
    first = torch.cat([draw_latent(generator, 60 + i) for i in range(20)])
    assert all(number in first[:, i] for i, number in enumerate(begun(4)[0])), "numbers that no sample has"


def test_children_of_grids_inherit_whole_cells() -> None:
    decoder = Grid()
    best = drain(find_start(decoder, lambda images: images.mean((1, 2, 3)), 6, generations=3))
    cells = torch.cat([draw_latent(decoder, i) for i in range(6)]).permute(2, 3, 0, 1)  # (2, 2, 6, 4)
    inherited = (cells == best[0].permute(1, 2, 0)[:, :, None]).all(3)
    assert inherited.any(2).all() and not inherited.all((0, 1)).any()


@pytest.mark.parametrize("hold", [True, False])
def test_words_that_exclude_each_other_stay_as_chosen(hold: bool) -> None:
    torch.manual_seed(0)
    inner = {"shape": [3, 8, 8], "latent": 12, "hidden": [16]}
    decoder = ConditionalGenerator((3, 8, 8), 8, "mlp", inner, classes=3, embedding=4, words="latent")
    decoder.eval().requires_grad_(False)
    start = draw_latent(decoder, 1)
    *_, last = paint(decoder, Colours(), Prompts.of(["red"]), start, steps=5, brush=Brush(hold=hold))
    assert not torch.equal(last.latent[:8], start[0, :8])
    assert torch.equal(last.latent[8:], start[0, 8:]) == hold


def test_classes_are_passed_on() -> None:
    class Labelled(Grid):
        def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
            assert label is not None and label.tolist() == [2] * len(z)
            return super().forward(z)

    decoder = Labelled()
    start = drain(find_start(decoder, lambda images: images.mean((1, 2, 3)), 3, label=torch.tensor(2)))
    assert len(list(paint(decoder, Colours(), Prompts.of(["red"]), start, steps=1, label=torch.tensor(2)))) == 2


def test_a_decoder_with_batch_norm_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    decoder = DCGANGenerator((3, 8, 8), 4, 8).eval().requires_grad_(False)
    before = {name: value.clone() for name, value in decoder.state_dict().items()}
    assert len(list(paint(decoder, Colours(), Prompts.of(["red"]), draw_latent(decoder, 0), steps=2))) == 3
    assert all(torch.equal(value, before[name]) for name, value in decoder.state_dict().items())
