"""The classifier: its network, what it learns from and is measured on, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

import ganvas
from benchmarks import weights
from ganvas import augment, frozen, media, nets, recipes
from ganvas.cli import main
from ganvas.data import Dataset, open_data
from ganvas.errors import RequestError
from ganvas.nets.cnn import POOLING
from ganvas.plan import Plan
from ganvas.recipes import Training
from ganvas.recipes.cnn import CNN, confusion
from ganvas.run import checkpoint

SMALL = {"widths": "4,8", "depth": 1, "hidden": 16, "batch": 32, "warmup": 0, "lr": 0.01}


# -- the network -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", POOLING)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (3, 33, 20)])
def test_every_size_gives_features_and_logits(shape: tuple[int, ...], pooling: str) -> None:
    network = nets.CNN(shape, 5, (4, 6), pooling=pooling, hidden=7).eval()
    x = torch.randn(2, *shape)
    assert network(x).shape == (2, 5)
    assert network.features(x).shape == (2, 7)
    assert (network.features(x) < 0).any()  # before the activation
    torch.testing.assert_close(network.head(network.features(x)), network(x))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "side"),
    [(3, 1, -1, 14), (3, 1, 0, 13), (5, 1, -1, 14), (5, 2, 0, 6), (4, 2, 1, 7), (3, 3, 2, 5)],
)
def test_the_size_after_a_convolution(kernel: int, stride: int, padding: int, side: int) -> None:
    """⌊(28 + 2·padding − kernel) / stride⌋ + 1, and then the half of it, rounded down."""
    network = nets.CNN((1, 28, 28), 2, (3,), 1, kernel, stride, padding)
    assert network.stages(torch.zeros(2, 1, 28, 28)).shape == (2, 3 * side * side)


def test_pooling_is_what_it_is_called() -> None:
    x = torch.rand(1, 1, 6, 6)
    expected = {
        "max": x.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5)),
        "average": x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)),
        "stride": x[:, :, ::2, ::2],
    }
    for pooling, y in expected.items():
        network = nets.CNN((1, 6, 6), 2, (1,), 1, 1, pooling=pooling, norm=False)
        convolution = network.stages[0]
        assert isinstance(convolution, torch.nn.Conv2d)
        torch.nn.init.ones_(convolution.weight)
        torch.nn.init.zeros_(convolution.bias)
        torch.testing.assert_close(network.stages(x), y.flatten(1))


def test_networks_that_cannot_be_are_refused() -> None:
    with pytest.raises(RequestError, match="8×8 images are too small for the stages 4,4,4,4; use fewer widths"):
        nets.CNN((1, 8, 8), 2, (4, 4, 4, 4))
    with pytest.raises(RequestError, match="not items of shape"):
        nets.CNN((2,), 2)
    with pytest.raises(RequestError, match="unknown pooling 'maks'; did you mean max"):
        nets.CNN((1, 8, 8), 2, pooling="maks")


# -- its augmentation --------------------------------------------------------------------------------------------------


def test_images_are_moved_and_their_border_goes_on() -> None:
    ramp = torch.arange(5.0).expand(200, 1, 5, 5)  # moved by d columns it is clamp(ramp − d)
    torch.manual_seed(0)
    moved = augment.translate(ramp, 1, 2, "replicate")
    each = [(ramp[0, 0] + d).clamp(0, 4) for d in range(-2, 3)]
    found = [next(d for d, y in enumerate(each) if torch.equal(x, y)) for x in moved[:, 0]]
    assert set(found) == set(range(5))
    assert augment.translate(ramp, 0, 0, "replicate").equal(ramp)


def test_half_are_mirrored() -> None:
    x = torch.arange(4.0).expand(400, 1, 3, 4)
    torch.manual_seed(0)
    mirrored = (augment.mirror(x) == x.flip(3)).all((1, 2, 3))
    assert (augment.mirror(x[:1]) == x[:1]).all() or (augment.mirror(x[:1]) == x[:1].flip(3)).all()
    assert 150 < mirrored.sum() < 250


# -- what it is measured on --------------------------------------------------------------------------------------------


def test_a_share_is_held_out_where_there_is_no_test_split() -> None:
    whole, part = open_data("digits"), open_data("digits", hold_out=0.2, seed=5)
    held = part.held_out
    assert held is not None and whole.held_out is None
    assert (part.split, held.split, len(part), len(held)) == ("train", "held out", 1438, 359)

    def rows(dataset: Dataset) -> list[bytes]:
        assert dataset.labels is not None
        return [bytes([*x.flatten().tolist(), y]) for x, y in zip(dataset.items, dataset.labels, strict=True)]

    assert sorted(rows(part) + rows(held)) == sorted(rows(whole))
    assert not torch.equal(held.items[:20], whole.items[:20])  # not the first of them
    again = open_data("digits", hold_out=0.2).held_out
    assert again is not None and again.fingerprint == held.fingerprint  # whatever the seed
    assert len({whole.fingerprint, part.fingerprint, held.fingerprint}) == 3


def test_the_test_split_is_held_out_where_there_is_one(tmp_path: Path) -> None:
    for split, mode, side in (("train", "RGB", 16), ("test", "L", 40)):
        for name in ("cat", "dog"):
            picture = Image.linear_gradient("L").resize((side, side)).convert(mode)
            if mode == "RGB":
                picture.putpixel((0, 0), (255, 0, 0))
            media.save_png(picture, tmp_path / split / name / "1.png")
    images = open_data(str(tmp_path), hold_out=0.5)
    assert images.held_out is not None
    assert (len(images), len(images.held_out), images.held_out.split) == (2, 2, "test")
    # files take the form of what they are found among, unless they are to be compared with others
    assert open_data(str(tmp_path), split="test").shape != images.shape == images.held_out.shape == (3, 16, 16)
    assert open_data(str(tmp_path), split="test", hold_out=0.5).held_out is None


def test_a_part_keeps_what_belongs_to_its_rows() -> None:
    items = torch.arange(4 * 64, dtype=torch.uint8).reshape(4, 1, 8, 8)
    images = Dataset(
        "some", items, torch.tensor([0, 1, 1, 0]), ("x", "y"), tuple("abcd"), {"size": torch.tensor([10, 11, 12, 13])}
    )
    part = images.rows(torch.tensor([3, 1]))
    assert part.captions == ("d", "b")
    assert part.labels is not None and part.labels.tolist() == [0, 1]
    assert part.attributes is not None and part.attributes["size"].tolist() == [13, 11]
    assert torch.equal(part.items, items[[3, 1]])
    assert part.fingerprint != images.fingerprint == images.rows(torch.arange(4)).fingerprint


def test_nothing_or_everything_cannot_be_held_out() -> None:
    few = open_data("digits").rows(torch.arange(4))
    with pytest.raises(RequestError, match=r"0\.1 of the 4 items of digits is 0; hold out at least one"):
        few.hold_out(0.1)
    with pytest.raises(RequestError, match="is 4; hold out at least one, and not all"):
        few.hold_out(0.9)


# -- training ----------------------------------------------------------------------------------------------------------


def run(path: Path, steps: int, data: str = "digits", **options: object) -> ganvas.Run:
    settings = {**SMALL, **options}
    return ganvas.train(
        "cnn", data, out=path, steps=steps, options=settings, device="cpu", precision="fp32", progress=False
    )


def test_it_learns_and_tells(tmp_path: Path) -> None:
    trained = run(tmp_path / "run", 150, log_every=40, sample_every=60, dropout=0)
    assert {p.name for p in trained.pictures} == {f"step-{step:06d}.png" for step in (0, 60, 120, 150)}
    log = {line["step"]: line for line in trained.log}
    assert set(log) == {40, 60, 80, 120, 150}  # what is measured is logged at once
    assert [step for step, line in log.items() if "held_out/accuracy" in line] == [60, 120, 150]
    assert log[150]["held_out/accuracy"] > 0.85
    assert log[150]["classifier/loss"] < log[40]["classifier/loss"] / 2
    assert trained.record["data"]["held_out"]["count"] == 359

    classifier = ganvas.load(tmp_path / "run")
    assert isinstance(classifier, ganvas.Classifier)
    held = open_data("digits", hold_out=0.2).held_out
    assert held is not None
    rows = held.at(torch.arange(len(held)))
    p = classifier.probabilities(rows.x, batch=100)
    torch.testing.assert_close(p.sum(1), torch.ones(len(held)))
    right = (p.argmax(1) == rows.label).float().mean().item()
    assert right == pytest.approx(log[150]["held_out/accuracy"])
    assert classifier.class_names == tuple("0123456789")
    assert classifier.features(rows.x).shape == (359, 16)
    with pytest.raises(RequestError, match=r"takes images of 1×8×8, not of 3×8×8"):
        classifier.logits(torch.zeros(1, 3, 8, 8))


def test_resuming_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def outcome(path: Path) -> Sequence[object]:
        newest = checkpoint.steps(path / "checkpoints")[0]
        names = ("classifier.safetensors", f"{newest.relative_to(path)}/model.safetensors", "samples/step-000030.png")
        lines = [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]
        timeless = ("seconds", "images_per_second")
        return [(path / name).read_bytes() for name in names] + [
            {key: value for key, value in line.items() if key not in timeless} for line in lines if line["step"] == 30
        ]

    options = {"log_every": 1, "sample_every": 10, "checkpoint_every": 7, "flip": True}
    run(tmp_path / "whole", 30, **options)
    cut = tmp_path / "cut"
    settings = {**SMALL, **options}
    started = ganvas.Run.create("cnn", "digits", out=cut, steps=30, options=settings, device="cpu", precision="fp32")
    ticks = started.advance()
    for progress in ticks:
        if progress.step == 17:
            break
    ticks.close()
    ganvas.resume(cut, progress=False)
    assert outcome(cut) == outcome(tmp_path / "whole")


def test_looking_does_not_change_training(unchanged_by_looking: Callable[[Training, Dataset], None]) -> None:
    unchanged_by_looking(recipes.override(CNN(), {**SMALL, "steps": 6}), open_data("digits", hold_out=0.2))


def test_options_reach_the_network() -> None:
    digits = open_data("digits", hold_out=0.2)
    settings = {"widths": "6,7", "kernel": 4, "stride": 1, "padding": 1, "pooling": "average", "hidden": 11}
    o = recipes.override(CNN(), {**settings, "dropout": 0.25, "norm": False, "activation": "leaky", "depth": 1})
    network = recipes.build(o, digits, Plan()).modules["classifier"]
    assert isinstance(network, nets.CNN)
    assert network.options == {
        **{"shape": [1, 8, 8], "classes": 10, "widths": [6, 7], "depth": 1, "kernel": 4, "stride": 1, "padding": 1},
        **{"pooling": "average", "hidden": 11, "dropout": 0.25, "norm": False, "activate": "leaky"},
    }


@pytest.mark.parametrize(("size", "widths"), [(8, (16, 32)), (28, (16, 32, 64)), (128, (16, 32, 64, 128, 128))])
def test_the_stages_follow_the_size(size: int, widths: tuple[int, ...]) -> None:
    o = recipes.cnn.resolve(CNN(), (1, size, size))
    assert o.widths == widths
    assert o.shift == round(size / 14)


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_data_without_classes_is_refused() -> None:
    digits = open_data("digits", hold_out=0.2)
    unlabelled = replace(digits, labels=None, class_names=())
    with pytest.raises(RequestError, match=r"data: digits has no labels, .*one folder per class"):
        recipes.build(CNN(), unlabelled, Plan())
    with pytest.raises(RequestError, match="has only the class 'cat'"):
        recipes.build(CNN(), replace(digits, class_names=("cat",)), Plan())
    with pytest.raises(RequestError, match="the test split of digits lacks the classes of its train split"):
        recipes.build(CNN(), replace(digits, class_names=("0", "1")), Plan())
    with pytest.raises(RequestError, match="batch: 1 is too small for batch normalisation"):
        recipes.build(CNN(batch=1), digits, Plan())


def test_a_classifier_is_not_sampled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "run", 2)
    assert main(["sample", str(tmp_path / "run"), "--out", str(tmp_path / "x.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["sample", str(tmp_path / "run" / "classifier.safetensors"), "--out", str(tmp_path / "x.png")]) == 2
    assert "is a classifier, which names classes; give a generator, or the run of one" in capsys.readouterr().err
    assert main(["train", "cnn", "sine", "--out", str(tmp_path / "points")]) == 2
    assert capsys.readouterr().err.count("sine has no labels") == 1
    assert not (tmp_path / "points").exists()


def test_the_command_says_what_it_measures_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    words = ["train", "cnn", "digits", "--out", str(tmp_path / "run"), "--steps", "3", "--device", "cpu"]
    assert main([*words, "--precision", "fp32", *settings]) == 0
    told = capsys.readouterr().out
    assert "measured on 359 items that it does not train on (held out)" in told
    assert "held_out accuracy" in told
    assert "ganvas sample" not in told  # which a classifier does not do
    assert main([*words, "--overwrite", *settings]) == 0
    assert not list((tmp_path / "run").glob("generator.*"))


def test_weights_are_made_once_and_tell_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", "digits", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path), "--device", "cpu"]
    weights.main([*words, "--steps", "2"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    made = frozen.load_classifier(tmp_path / "cnn-digits.safetensors")
    assert {key: told[key] for key in made.facts} == made.facts
    assert (made.facts["measured_on"], made.facts["steps"]) == ("359 images, held out", 2)
    held = open_data("digits", hold_out=0.2).held_out
    assert held is not None
    assert confusion(made, held)[0].trace().item() / 359 == made.facts["accuracy"]  # of what the file holds
    weights.main(words)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == told
    with pytest.raises(RequestError, match="unknown data set 'digit'; did you mean digits"):
        weights.main(["--data", "digit"])


def test_a_generator_classifies_nothing(tmp_path: Path) -> None:
    generator = nets.MLPGenerator((1, 8, 8), latent=4, hidden=(8,))
    frozen.copy_generator(generator, "mlp", (), "cpu").write(tmp_path / "g.safetensors")
    with pytest.raises(RequestError, match="is a generator, which draws; give a classifier, or the run of one"):
        frozen.load_classifier(tmp_path / "g.safetensors")


# -- the frozen classifier and its picture -----------------------------------------------------------------------------


def test_half_precision_loads_as_float32(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nets.CNN((1, 8, 8), 3, (4,), hidden=5).train()
    network(torch.randn(9, 1, 8, 8))  # so that batch norm has statistics of its own
    classifier = frozen.copy_classifier(network, "abc", {"data": "some"})
    classifier.write(tmp_path / "whole.safetensors")
    classifier.write(tmp_path / "half.safetensors", torch.float16)
    x = torch.randn(4, 1, 8, 8)
    half = frozen.load_classifier(tmp_path / "half.safetensors")
    assert {p.dtype for p in half.network.parameters()} == {torch.float32}
    assert (half.class_names, half.facts) == (("a", "b", "c"), {"data": "some"})
    assert torch.equal(ganvas.load(tmp_path / "whole.safetensors").features(x), classifier.features(x))
    assert not torch.equal(half.logits(x), classifier.logits(x))
    torch.testing.assert_close(half.logits(x), classifier.logits(x), rtol=0, atol=5e-3)
    assert network.training  # the copy alone is fixed


def test_confusion_counts_what_is_taken_for_what() -> None:
    items = torch.tensor([0, 255, 255, 255], dtype=torch.uint8).reshape(4, 1, 1, 1).expand(4, 1, 8, 8)
    images = Dataset("some", items, torch.tensor([0, 0, 1, 1]), ("dark", "light"))
    network = nets.CNN((1, 8, 8), 2, (1,), 1, 1, hidden=1, norm=False)  # says class 1 where the mean is above 0
    for part in network.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.constant_(part.weight, 1 / part.weight[0].numel())
            torch.nn.init.zeros_(part.bias)
    logits = network.head[2]
    assert isinstance(logits, torch.nn.Linear)
    with torch.no_grad():
        logits.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        logits.bias.copy_(torch.tensor([0.5, -0.5]))
    counts, loss = confusion(frozen.copy_classifier(network, images.class_names, {}), images)
    assert counts.tolist() == [
        [1, 1],
        [0, 2],
    ]  # light pixels: logits (−0.5, 0.5); dark ones, through a ReLU: (0.5, −0.5)
    right, wrong = torch.tensor([1.0, -1.0]).neg().exp().log1p().tolist()
    assert loss == pytest.approx((3 * right + wrong) / 4)


@pytest.mark.parametrize("classes", [3, 40])
def test_the_confusion_picture_is_dark_where_it_is_right(classes: int) -> None:
    counts = 7 * torch.eye(classes, dtype=torch.int64)
    counts[0] = 0  # no such item
    image = media.confusion(counts, [f"class {i}" for i in range(classes)], "7 of each").convert("L")
    dark = sum(image.histogram()[:70]) / (image.width * image.height)
    assert 0.3 * (classes - 1) / classes**2 < dark < 1.2 * (classes - 1) / classes**2
