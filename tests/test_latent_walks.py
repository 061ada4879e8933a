from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganvas import latent
from ganvas.errors import RequestError
from ganvas.nets import MLPGenerator

DECODER = MLPGenerator((1, 8, 8), latent=5, hidden=(8,)).eval()
SHAPES = st.sampled_from([(7,), (2, 3, 3)])


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1), SHAPES)
def test_an_arc_keeps_the_length_and_meets_its_ends(seed: int, t: float, shape: tuple[int, ...]) -> None:
    g = torch.Generator().manual_seed(seed)
    a, b = (torch.nn.functional.normalize(torch.randn(4, *shape, generator=g).flatten(1)) for _ in range(2))
    a, b = a.reshape(4, *shape), b.reshape(4, *shape)
    norms = latent.slerp(a, b, t).flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(latent.slerp(a, b, 0.0), a, rtol=0, atol=1e-5)
    torch.testing.assert_close(latent.slerp(a, b, 1.0), b, rtol=0, atol=1e-5)


def test_an_arc_is_shoemakes() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    expected = torch.tensor([[math.sin(math.pi / 3), 2 * math.sin(math.pi / 6)]])
    torch.testing.assert_close(latent.slerp(a, b, 1 / 3), expected)


@pytest.mark.parametrize("b", [[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]])
def test_latents_without_an_arc_are_joined_by_a_line(b: list[float]) -> None:
    a, end = torch.tensor([[1.0, 0.0]]), torch.tensor([b])
    torch.testing.assert_close(latent.slerp(a, end, 0.25), latent.lerp(a, end, 0.25))


def test_a_line_is_the_sources_morphing() -> None:
    a, b = torch.randn(3, 4), torch.randn(3, 4)
    t = torch.tensor([0.0, 0.3, 1.0])
    torch.testing.assert_close(latent.lerp(a, b, t), a * (1 - t[:, None]) + b * t[:, None])


@settings(deadline=None)
@given(st.floats(0, 1))
def test_easings_are_their_formulas(t: float) -> None:
    assert latent.EASINGS["linear"](t) == t
    assert latent.EASINGS["smooth"](t) == pytest.approx(3 * t**2 - 2 * t**3, abs=1e-12)
    assert latent.EASINGS["sin6"](t) == math.sin(1.5 * t) ** 6


@settings(deadline=None)
@given(st.lists(st.floats(0.05, 3), min_size=2, max_size=5), st.floats(10, 60), st.booleans())
def test_a_walk_has_exactly_the_frames_of_its_segments(seconds: list[float], fps: float, loop: bool) -> None:
    keys = torch.randn(len(seconds), 3)
    segments = seconds if loop else seconds[:-1]
    if not all(round(s * fps) for s in segments):
        return
    way = latent.path(keys, segments, fps, loop=loop)
    assert len(way) == sum(round(s * fps) for s in segments)


@pytest.mark.parametrize("easing", latent.EASINGS)
def test_each_segment_begins_at_its_keyframe(easing: str) -> None:
    keys = torch.randn(3, 2, 4, 4)
    way = latent.path(keys, 0.4, 10, easing=easing)
    assert way.shape == (12, 2, 4, 4)
    torch.testing.assert_close(way[::4], keys, rtol=0, atol=1e-5)


def test_a_loop_comes_home_with_a_step_like_the_others() -> None:
    way = latent.path(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), 2.0, 25)
    steps = (torch.cat([way[1:], way[:1]]) - way).norm(dim=1)
    assert steps[-1] <= steps.max() + 1e-5
    assert steps.max() < 0.1 * way.norm(dim=1).max()


def test_an_open_walk_ends_at_its_last_keyframe() -> None:
    keys = torch.randn(3, 6)
    way = latent.path(keys, 1.0, 12, loop=False, easing="smooth")
    assert len(way) == 24
    torch.testing.assert_close(way[[0, 12, -1]], keys, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("keys", "options", "said"),
    [
        (1, {}, "two keyframes"),
        (3, {"seconds": [1.0, 2.0]}, "2 durations for 3 segments"),
        (3, {"seconds": 0.01}, "no frame"),
        (3, {"seconds": -1.0}, "no frame"),
        (3, {"seconds": math.nan}, "no frame"),
        (3, {"seconds": math.inf}, "a segment of inf seconds"),
        (3, {"seconds": 1e9}, "a segment of 1e\\+09 seconds"),
        (3, {"fps": 0.0}, "frames a second"),
        (3, {"easing": "linaer"}, "linear"),
        (3, {"interpolation": "slurp"}, "slerp"),
    ],
)
def test_walks_that_lead_nowhere_are_refused(keys: int, options: dict, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        latent.path(torch.randn(keys, 4), **options)


def test_a_tour_goes_along_each_direction_and_comes_home() -> None:
    origin, ways = torch.randn(4), torch.eye(4)[:2]
    keys = latent.tour(origin, ways, 2.0)
    expected = [origin, origin + 2 * ways[0], origin - 2 * ways[0], origin, origin + 2 * ways[1], origin - 2 * ways[1]]
    assert torch.equal(keys, torch.stack(expected))


def test_frames_are_the_same_whatever_the_batch() -> None:
    way = latent.path(torch.randn(2, 5), 0.5, 10)
    frames = list(latent.walk(DECODER, way, batch=3))
    assert len(frames) == 10 and frames[0].shape == (1, 8, 8)
    torch.testing.assert_close(torch.stack(frames), DECODER(way).detach())
    assert torch.is_inference_mode_enabled() is False


def test_a_walk_leaves_its_callers_gradients_alone() -> None:
    for _ in latent.walk(DECODER, torch.randn(2, 5)):
        assert not torch.is_inference_mode_enabled()


def test_rejection_keeps_the_most_typical_of_several_and_a_seeds_own_first() -> None:
    def features(z: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        return z

    own = latent.from_seeds(DECODER, range(50))
    assert torch.equal(latent.reject(DECODER, range(50), 1.0, features), own)
    chosen = latent.reject(DECODER, range(50), 0.25, features)
    assert torch.equal(latent.reject(DECODER, range(50), 0.25, features), chosen)
    assert chosen.norm(dim=1).mean() < 0.8 * own.norm(dim=1).mean()
    assert torch.equal(latent.reject(DECODER, [7], 0.25, features), chosen[7:8])  # whatever the seeds next to it
    assert any(torch.equal(a, b) for a, b in zip(own, chosen, strict=True))  # the first try is the seed's own latent
