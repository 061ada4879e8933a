from __future__ import annotations

import json

import pytest
import torch

from ganvas import latent
from ganvas.errors import RequestError
from ganvas.latent.breeding import mutate, name_of
from ganvas.nets import MLPGenerator

DECODER = MLPGenerator((1, 8, 8), latent=400, hidden=(8,))
PARENTS = {f"seed-{s}": z for s, z in zip((3, 17), latent.from_seeds(DECODER, (3, 17)), strict=True)}


@pytest.mark.parametrize("crossover", latent.CROSSOVERS)
def test_a_lineage_gives_every_individual_again(crossover: str) -> None:
    first = latent.breed(DECODER, PARENTS, 4, crossover=crossover, seed=1)
    second = latent.breed(DECODER, {child.name: child.latent for child in first[:2]}, 3, seed=2)
    records = json.loads(json.dumps({child.name: child.birth._asdict() for child in [*first, *second]}))
    for child in (*first, *second):
        assert torch.equal(latent.regrow(DECODER, records, child.name), child.latent)
        assert name_of(child.latent) == child.name


def test_a_child_does_not_depend_on_how_many_there_are() -> None:
    few, many = (latent.breed(DECODER, PARENTS, n, seed=5) for n in (2, 6))
    assert [child.name for child in many[:2]] == [child.name for child in few]
    assert len({child.name for child in many}) == 6
    assert latent.breed(DECODER, PARENTS, 2, seed=6)[0].name != few[0].name


def test_without_mutation_every_number_is_inherited() -> None:
    a, b = PARENTS.values()
    for child in latent.breed(DECODER, PARENTS, 5, mutation=0.0):
        assert ((child.latent == a) | (child.latent == b)).all()


def test_mutation_keeps_the_variance() -> None:
    z, noise = torch.randn(2, 100_000, generator=torch.Generator().manual_seed(0))
    for mutation in (0.0, 0.2, 0.7, 1.0):
        assert mutate(z, noise, mutation).std().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(mutate(z, noise, 0.0), z) and torch.equal(mutate(z, noise, 1.0), noise)


def test_grids_cross_place_by_place() -> None:
    class Grids(MLPGenerator):
        def prior(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
            return torch.randn(n, 3, 4, 4, generator=generator)

    decoder = Grids((1, 8, 8))
    a, b = torch.zeros(3, 4, 4), torch.ones(3, 4, 4)
    children = latent.breed(decoder, {"a": a, "b": b}, 6, mutation=0.0)
    assert all((child.latent == child.latent[:1]).all() for child in children)  # all channels of a place together
    assert any(0 < child.latent.mean() < 1 for child in children)


class Things(MLPGenerator):
    """Eight Gaussian numbers, a colour of three, and a shape of four that every other item lacks."""

    def prior(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        colour, shape = (torch.randint(k, (n,), generator=generator) for k in (3, 4))
        words = [torch.nn.functional.one_hot(a, k) for a, k in ((colour, 3), (shape, 4))]
        words[1] = words[1] * torch.randint(2, (n, 1), generator=generator)
        return torch.cat([torch.randn(n, 8, generator=generator), *words], 1)


def test_what_follows_from_the_rest_is_linked() -> None:
    groups = latent.linkage(Things((1, 8, 8)))
    assert groups is not None
    assert groups.tolist() == [*range(8), 8, 8, 8, 11, 12, 13, 14], "a shape that may be missing follows from nothing"
    assert latent.linkage(DECODER).tolist() == list(range(400))  # pyright: ignore[reportOptionalMemberAccess]


def test_children_have_one_colour() -> None:
    decoder = Things((1, 8, 8))
    parents = dict(zip("abcd", decoder.prior(4, torch.Generator().manual_seed(1)), strict=True))
    children = latent.breed(decoder, parents, 60, mutation=0.0)
    assert all(child.latent[8:11].sort().values.tolist() == [0, 0, 1] for child in children)
    several = {tuple(child.latent[:8].tolist()) for child in children}
    assert len(several) > 20, "of what is not linked they have some of either"


def test_every_pair_gets_its_turn_and_one_parent_is_enough() -> None:
    three = {name: torch.randn(400) for name in "abc"}
    pairs = [child.birth.parents for child in latent.breed(DECODER, three, 6)]
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")] * 2
    (only,) = latent.breed(DECODER, {"a": three["a"]}, 1, mutation=0.1)
    assert only.birth.parents == ("a",)
    assert torch.nn.functional.cosine_similarity(only.latent, three["a"], dim=0) > 0.98


@pytest.mark.parametrize(
    ("options", "said"),
    [({"mutation": 1.5}, "1.5"), ({"crossover": "max"}, "mix"), ({"children": 0}, "1 or more")],
)
def test_litters_that_cannot_be_are_refused(options: dict, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        latent.breed(DECODER, PARENTS, **options)


def test_a_stranger_has_no_line() -> None:
    with pytest.raises(RequestError, match="does not contain"):
        latent.regrow(DECODER, {}, "0123456789")
