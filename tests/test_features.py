"""Feature spaces: which one a name opens, and what it makes of items."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganvas import frozen, nets
from ganvas.data import Dataset, open_data
from ganvas.errors import RequestError
from ganvas.features import Extractor, embed, embed_batches, fitted, open_features
from ganvas.frozen import weights
from ganvas.metrics import inputs
from ganvas.recipes.cnn import confusion


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return open_data("digits")


def classifier(shape: tuple[int, ...] = (1, 8, 8), seed: int = 0) -> frozen.Classifier:
    torch.manual_seed(seed)
    network = nets.CNN(shape, 3, (4,), hidden=5).train()
    network(torch.randn(20, *shape))  # so that batch norm has statistics of its own
    return frozen.copy_classifier(network, "abc", {})


# -- any extractor -----------------------------------------------------------------------------------------------------


def test_many_items_are_embedded_in_batches() -> None:
    seen: list[int] = []

    def features(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x.double().flatten(1).sum(1, keepdim=True)

    extractor = Extractor("sum", "", 1, "as they are", features)
    x = torch.rand(10, 1, 2, 2, requires_grad=True)
    y = embed(extractor, x, batch=4)
    torch.testing.assert_close(y, x.detach().sum((2, 3)))
    assert (seen, y.dtype, y.requires_grad) == ([4, 4, 2], torch.float32, False)
    assert extractor.logits(x) is None

    stream = embed_batches(extractor, iter(x.split(3)))
    torch.testing.assert_close(next(stream), y[:3])
    assert seen[3:] == [3]  # one batch at a time
    torch.testing.assert_close(torch.cat(list(stream)), y[3:])


@pytest.mark.parametrize(("side", "widest"), [(4, 0), (8, 0), (8, 1000), (64, 0)])
def test_large_images_are_embedded_few_at_a_time(side: int, widest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is bounded by the numbers of its images, and of the widest layer that they go through."""
    seen: list[int] = []

    def features(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x.flatten(1).sum(1, keepdim=True)

    monkeypatch.setattr(inputs, "NUMBERS", 2048)
    extractor = Extractor("sum", "", 1, "", features, features, widest=lambda shape: widest)
    x = torch.rand(50, 1, side, side)
    torch.testing.assert_close(embed(extractor, x), x.flatten(1).sum(1, keepdim=True))
    assert max(seen) == max(1, min(50, 2048 // max(side**2, widest)))
    seen.clear()
    logits = extractor.logits(x)
    assert logits is not None and logits.shape == (50, 1) and max(seen) * max(side**2, widest) <= 4096


# -- without weights ---------------------------------------------------------------------------------------------------


def test_pixels_are_averaged_down_to_16() -> None:
    x = torch.zeros(2, 3, 32, 20)
    x[0] = 0.2
    x[1, 0, :2, :2] = 1.0
    large = Dataset("some", torch.zeros(1, 3, 32, 20, dtype=torch.uint8))
    extractor = open_features("pixels", dataset=large)
    y = extractor(x)
    assert y.shape == (2, extractor.dim) == (2, 3 * 16 * 16)
    torch.testing.assert_close(y[0], torch.full_like(y[0], 0.2), rtol=0, atol=1 / 255)
    assert y[1].argmax() == 0  # the corner

    small = open_features("auto", dataset=replace(large, items=torch.zeros(1, 3, 12, 12, dtype=torch.uint8)))
    z = torch.rand(4, 3, 12, 12) * 2 - 1
    assert small.name == "pixels"
    torch.testing.assert_close(small(z), z.flatten(1), rtol=0, atol=1 / 255 + 1e-6)


def test_images_are_of_8_bits_and_of_the_networks_colours() -> None:
    x = torch.tensor([0.1, 0.1001, 7.0]).reshape(3, 1, 1, 1).expand(3, 1, 2, 2)
    y = fitted.fit(x, (3, 2, 2))
    assert y.shape == (3, 3, 2, 2)
    assert torch.equal(y[0], y[1])  # what a PNG could not tell apart
    assert y[2].max() == 1
    red = torch.tensor([1.0, -1.0, -1.0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    torch.testing.assert_close(fitted.fit(red, (1, 4, 4)), torch.full((1, 1, 4, 4), 0.299 * 2 - 1))


def test_points_are_their_own_features() -> None:
    ring = open_data("ring")
    extractor = open_features(dataset=ring)
    assert (extractor.name, extractor.dim, extractor.hash) == ("points", 2, "")
    assert torch.equal(embed(extractor, ring.items[:9]), ring.items[:9])


# -- classifiers -------------------------------------------------------------------------------------------------------


def test_a_file_or_a_run_of_a_classifier_is_a_feature_space(tmp_path: Path) -> None:
    own = classifier()
    own.write(tmp_path / "run" / "classifier.safetensors")
    for path in (tmp_path / "run", str(tmp_path / "run" / "classifier.safetensors")):
        extractor = open_features(path)
        x = torch.linspace(-1, 1, 256).reshape(4, 1, 8, 8)
        x = (x * 127.5 + 127.5).round() / 127.5 - 1
        torch.testing.assert_close(extractor(x), own.features(x))
        torch.testing.assert_close(extractor.logits(x), own.logits(x))
        assert (extractor.name, extractor.dim) == (Path(path).name, 5)
        assert extractor(torch.rand(2, 3, 30, 20)).shape == (2, 5)


def test_auto_takes_the_classifier_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Dataset
) -> None:
    mine = replace(digits, name="mine")
    assert open_features("auto", dataset=mine).name == "pixels"
    monkeypatch.setenv("GANVAS_WEIGHTS", os.pathsep.join(map(str, (tmp_path / "first", tmp_path / "second"))))
    classifier(seed=2).write(tmp_path / "second" / "cnn-mine.safetensors")
    second = open_features("auto", dataset=mine)
    assert second.name == "cnn-mine"
    classifier(seed=1).write(tmp_path / "first" / "cnn-mine.safetensors")
    first = open_features("cnn-mine")
    assert first.hash == open_features("auto", dataset=mine).hash != second.hash
    classifier(shape=(1, 9, 9)).write(tmp_path / "first" / "cnn-mine.safetensors")
    assert open_features("auto", dataset=mine).name == "pixels"  # it was trained on another size


def test_a_name_goes_before_a_directory_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = open_features("cnn-digits")
    own = classifier()
    own.write(tmp_path / "cnn-digits" / "classifier.safetensors")
    own.write(tmp_path / "cnn-own" / "classifier.safetensors")
    assert open_features("cnn-digits").hash == shipped.hash
    hashes = {open_features(name).hash for name in ("./cnn-digits", "cnn-digits/", Path("cnn-digits"), "cnn-own")}
    assert hashes == {weights.digest(own.network.state_dict())}
    own.write(tmp_path / "inception" / "classifier.safetensors")
    assert open_features(Path("inception")).dim == 5


def test_the_hash_is_of_the_values() -> None:
    network = classifier().network
    before = weights.digest(network.state_dict())
    assert len(before) == 16 and int(before, 16)
    halves = {name: w.half() if w.is_floating_point() else w for name, w in network.state_dict().items()}
    whole = {name: w.float() if w.is_floating_point() else w for name, w in halves.items()}
    assert weights.digest(halves) == weights.digest(dict(reversed(whole.items()))) != before
    renamed = {name.replace("embed", "other"): w for name, w in whole.items()}
    assert weights.digest(renamed) != weights.digest(whole)


@pytest.mark.parametrize("file", sorted(weights.SHIPPED.glob("cnn-*.safetensors")), ids=lambda file: file.stem)
def test_shipped_classifiers_are_small_and_as_good_as_they_say(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file.stat().st_size < 2e6
    shipped = frozen.load_classifier(file)
    data = file.stem.removeprefix("cnn-")
    monkeypatch.setattr("ganvas.data.known._download", absent)
    try:
        held_out = open_data(data, hold_out=0.2).held_out
    except FileNotFoundError:
        pytest.skip(f"{data} is not on this machine")
    assert held_out is not None
    some = held_out.rows(torch.arange(min(len(held_out), 2000)))
    accuracy = confusion(shipped, some)[0].trace().item() / len(some)
    error = (shipped.facts["accuracy"] * (1 - shipped.facts["accuracy"]) / len(some)) ** 0.5
    assert accuracy == pytest.approx(shipped.facts["accuracy"], abs=4 * error + 1e-9)
    whole = replace(held_out, name=data)
    assert open_features("auto", dataset=whole).name == f"cnn-{data}"
    assert open_features("auto", dataset=whole).dim <= 128


def absent(name: str, known: object) -> None:
    raise FileNotFoundError(name)


# -- refusals ----------------------------------------------------------------------------------------------------------


IMAGES = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
UNFIT = {
    "five channels": IMAGES.expand(2, 5, 8, 8),
    "two channels": IMAGES.expand(2, 2, 8, 8),
    "one image": IMAGES[0],
    "points": torch.rand(5, 2),
    "no pixels": IMAGES[..., :0],
    "bytes": (IMAGES * 127.5 + 127.5).byte(),
    "booleans": IMAGES > 0,
    "0 to 255": IMAGES * 127.5 + 127.5,
    "infinite": IMAGES.index_fill(0, torch.tensor(1), torch.inf),
}


@pytest.mark.parametrize("what", UNFIT)
@pytest.mark.parametrize("name", ["pixels", "cnn-digits"])
def test_what_is_no_image_is_refused_in_a_sentence(name: str, what: str, digits: Dataset) -> None:
    extractor = open_features(name, dataset=digits)
    for look in (extractor, extractor.logits) if extractor.classify else (extractor,):
        with pytest.raises(RequestError, match=f"{name} cannot take .*give"):
            look(UNFIT[what])


@pytest.mark.parametrize("items", [torch.rand(5, 3), torch.rand(5), IMAGES, torch.ones(5, 2, dtype=torch.int64)])
def test_what_are_no_points_of_the_plane_is_refused(items: Tensor) -> None:
    with pytest.raises(RequestError, match=r"points cannot take .* numbers \(N, 2\)"):
        open_features(dataset=open_data("ring"))(items)


@pytest.mark.parametrize("name", ["pixels", "cnn-digits"])
def test_precision_size_and_a_little_too_much_contrast_are_no_matter(name: str, digits: Dataset) -> None:
    extractor = open_features(name, dataset=digits)
    expected = extractor(IMAGES)
    for dtype in (torch.float16, torch.float64):
        torch.testing.assert_close(extractor(IMAGES.to(dtype)), expected, rtol=0.05, atol=0.05)
    assert torch.equal(extractor(1.5 * IMAGES), extractor((1.5 * IMAGES).clamp(-1, 1)))
    assert extractor(IMAGES[:0]).shape == (0, extractor.dim)
    assert extractor(IMAGES[..., :1, :1]).isfinite().all()
    assert extractor(torch.full_like(IMAGES, torch.nan)).isnan().all()


def test_what_cannot_be_opened_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, digits: Dataset
) -> None:
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    with pytest.raises(RequestError, match="unknown name or file 'pixel'; did you mean pixels"):
        open_features("pixel", dataset=digits)
    with pytest.raises(RequestError, match="unknown name or file"):
        open_features(tmp_path / "nothing.safetensors")
    for name in ("auto", "pixels", "points"):
        with pytest.raises(RequestError, match="depends on the items; give their `dataset`"):
            open_features(name)
    with pytest.raises(RequestError, match="features: 'points' does not suit digits, which holds images"):
        open_features("points", dataset=digits)
    with pytest.raises(RequestError, match="features: 'pixels' does not suit ring, which holds points"):
        open_features("pixels", dataset=open_data("ring"))
    with pytest.raises(RequestError, match=r"cnn-nothing are not on .*`ganvas train cnn nothing`") as error:
        open_features("cnn-nothing")
    assert f"cnn-nothing.safetensors in {tmp_path}, {cache / 'weights'}" in str(error.value)
