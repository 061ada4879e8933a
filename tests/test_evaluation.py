"""`ganvas.evaluate`: what perfect, collapsed and copied samples come out as, the protocol, and the warnings."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ganvas
from ganvas import nets
from ganvas.data import Dataset, open_data
from ganvas.errors import RequestError, WorkError
from ganvas.evaluation import Evaluation, Figure, copies, evaluate, evaluating, figures, findings
from ganvas.evaluation.copies import Copies
from ganvas.evaluation.extraction import Extracted
from ganvas.evaluation.figures import Metric, standard_errors
from ganvas.evaluation.sources import Items
from ganvas.metrics import inputs, path_length
from ganvas.types import Batch

FINE = ("diversity", "pr", "dc", "modes", "ms_ssim", "fid")  # all that a finding on variety rests on


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return open_data("digits")


@pytest.fixture(scope="module")
def parts(digits: Dataset) -> tuple[Dataset, Dataset]:
    """800 digits to train on with 500 held out, and 497 of neither."""
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
    train, test, fresh = (digits.rows(rows) for rows in order.split([800, 500, 497]))
    return replace(train, held_out=test), fresh


@pytest.fixture(scope="module")
def perfect(parts: tuple[Dataset, Dataset]) -> Evaluation:
    """Everything measured of real digits that are in neither split."""
    return evaluate(parts[1], parts[0], device="cpu")


def items(dataset: Dataset) -> Tensor:
    return dataset.at(torch.arange(len(dataset))).x


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# -- what samples come out as ------------------------------------------------------------------------------------------


def test_the_floor_of_real_items_is_near_perfect(perfect: Evaluation) -> None:
    floor = {name: figure.floor for name, figure in perfect.figures.items()}
    assert list(floor) == [
        *("fid", "kid", "precision", "recall", "density", "coverage", "diversity"),
        *("ms_ssim", "is", "modes", "entropy", "reverse_kl", "accuracy", "copies"),
    ]
    assert 0 <= floor["fid"] < 2  # noise has more than 100
    assert abs(floor["kid"]) < 0.05
    assert min(floor["precision"], floor["recall"]) > 0.8
    assert min(floor["density"], floor["coverage"], floor["diversity"]) > 0.9
    assert (floor["modes"], round(floor["entropy"], 1)) == (10, round(math.log(10), 1))
    assert floor["reverse_kl"] < 0.05
    assert 0.01 <= floor["copies"] < 0.02


def test_fresh_real_items_measure_like_the_floor(perfect: Evaluation) -> None:
    for name, (value, low, high, floor, _, meaning) in perfect.figures.items():
        assert low <= value <= high, name
        assert floor is not None
        assert abs(value - floor) < max(0.1 * abs(floor), 0.06, 2 * (high - low)), name
        assert meaning
    variety, memory = perfect.findings
    assert "no sign of mode collapse" in variety
    assert "no sign of it" in memory


def test_a_collapsed_generator_scores_badly_and_is_named(digits: Dataset) -> None:
    samples = (items(digits)[:3].repeat(200, 1, 1, 1) + 0.1 * noise(600, 1, 8, 8)).clamp(-1, 1)
    found = evaluate(samples, digits, metrics=FINE, device="cpu")
    (finding,) = found.findings
    assert "this is mode collapse: they reach 3 modes or classes, of 10 that real ones reach" in finding
    assert "they cover" in finding
    figures = found.figures
    assert figures["fid"].low > 10 * (figures["fid"].floor or 0)
    assert figures["coverage"].high < 0.2
    assert figures["recall"].high < 0.2
    assert found.shares["samples"]["5"] == 0
    assert sum(found.shares["samples"].values()) == pytest.approx(1)


def test_a_single_picture_is_a_collapse(digits: Dataset) -> None:
    found = evaluate(noise(1, 1, 8, 8).expand(300, -1, -1, -1), digits, metrics=FINE, device="cpu")
    assert "this is mode collapse" in found.findings[0]
    assert (found.figures["diversity"].value, found.figures["ms_ssim"].value) == (0, 1)


def test_noise_is_not_called_a_collapse(digits: Dataset) -> None:
    for seed in (0, 1):  # a classifier takes one for 5 digits, the other for 4
        found = evaluate(noise(300, 1, 8, 8, seed=seed), digits, metrics=FINE, device="cpu")
        assert "cannot be measured, since the samples are unlike the data" in found.findings[0]
    assert found.figures["modes"].value < 5


def test_classes_that_are_missing_are_told(digits: Dataset) -> None:
    assert digits.labels is not None
    found = evaluate(digits.rows((digits.labels != 4).nonzero()[:, 0]), digits, metrics=FINE, device="cpu")
    assert "some modes are missing: they reach 9 modes" in found.findings[0]


def test_copies_of_the_training_set_are_named(parts: tuple[Dataset, Dataset]) -> None:
    train, fresh = parts
    for count, words_expected in ((497, "looks like copying"), (25, "some samples may be copies")):
        mixed = torch.cat([items(train)[:count], items(fresh)[: 497 - count]])
        found = evaluate(mixed, train, metrics=["copies"], device="cpu")
        assert words_expected in found.findings[0]
        assert count / 497 <= found.figures["copies"].value < count / 497 + 0.03  # and a few that merely are near
        assert found.neighbours is not None
        third = (found.neighbours.width - 32) // 3
        samples, nearest, pixels = (
            found.neighbours.crop((x, 24, x + third, found.neighbours.height)).tobytes()
            for x in (0, third + 16, 2 * third + 32)
        )
        assert samples == nearest == pixels  # the copies come first, beside what they copy


def test_shares_of_none_and_of_all_are_not_certain(parts: tuple[Dataset, Dataset]) -> None:
    """Of 497 samples none, or all: Wilson's interval reaches as far as 1.96² / (497 + 1.96²)."""
    train, fresh = parts
    reach = 1.96**2 / (497 + 1.96**2)
    for source in (replace(fresh, items=255 - fresh.items), replace(fresh, items=train.items[:497])):
        figures = evaluate(source, train, metrics=["copies", "precision", "recall"], device="cpu").figures
        at_the_ends = [figure for figure in figures.values() if figure.value in (0, 1)]
        assert figures["copies"] in at_the_ends
        for value, low, high, *_ in at_the_ends:
            assert high - low == pytest.approx(reach, rel=0.01)
            assert value in (low, high)


def test_copies_are_found_without_a_test_split(digits: Dataset) -> None:
    found = evaluate(items(digits)[::3], digits, metrics=["copies"], device="cpu")
    assert found.figures["copies"].value == 1
    assert "each among the others" in found.findings[0]


def test_every_mode_of_a_ring_is_counted() -> None:
    ring = open_data("ring", split="test", seed=5)
    found = evaluate(items(ring)[:2000], "ring", metrics=["modes", "fid", "dc"], samples=2000, device="cpu")
    figures = found.figures
    assert (figures["modes"].value, figures["modes"].floor) == (8, 8)
    assert figures["high_quality"].value > 0.98  # 1 - e^-4.5
    assert figures["reverse_kl"].value < 0.01
    assert figures["fid"].value < 0.01
    alone = ring.rows((ring.labels == 0).nonzero()[:300, 0])
    one = evaluate(alone, "ring", metrics=["modes", "copies"], device="cpu")
    assert "this is mode collapse: they reach 1 modes" in one.findings[0]
    assert one.neighbours is None


def test_the_sine_curve_is_judged_by_distance_and_reach() -> None:
    x = torch.linspace(0, math.pi, 500)
    found = evaluate(torch.stack([x, x.sin() + 0.1], 1), "sine", metrics=["curve"], device="cpu").figures
    assert found["error"].value == pytest.approx(0.1, abs=1e-3)
    assert found["curve_coverage"].value == pytest.approx(0.5, abs=0.03)
    assert (found["error"].floor, found["curve_coverage"].floor) == (pytest.approx(0, abs=1e-6), 1)


def test_labels_of_samples_are_checked(parts: tuple[Dataset, Dataset]) -> None:
    train, fresh = parts
    assert fresh.labels is not None
    right, wrong = (
        evaluate(replace(fresh, labels=labels), train, metrics=["accuracy"], device="cpu").figures["accuracy"].value
        for labels in (fresh.labels, (fresh.labels + 1) % 10)
    )
    assert right > 0.95
    assert wrong < 0.05


# -- the protocol ------------------------------------------------------------------------------------------------------


def test_every_figure_carries_its_protocol(perfect: Evaluation, parts: tuple[Dataset, Dataset]) -> None:
    told = json.loads(json.dumps(perfect.to_json(), allow_nan=False))["protocol"]
    assert (told["features"], len(told["features_hash"]), told["features_dim"]) == ("cnn-digits", 16, 64)
    assert (told["samples"], told["reference_count"], told["held_out_count"]) == (497, 500, 497)
    assert (told["reference"], told["held_out"]) == ("the test split", "the training split")
    assert (told["data_fingerprint"], told["fingerprint"]) == (parts[0].fingerprint, parts[1].fingerprint)
    assert (told["seed"], told["ganvas"], told["torch"]) == (0, version("ganvas"), torch.__version__)
    assert "resized to 8×8" in told["resize"]
    assert told["classifier_accuracy"] > 0.95
    assert "fid: 100 random halves of the samples; kid: its own standard error; pr: 20 random" in told["intervals"]
    assert told["ms_ssim"] == "at most 1,000 random pairs of 497 samples"
    assert "of 800 training items in cnn-digits" in told["copies"]


def test_samples_that_lie_there_have_no_latents(digits: Dataset) -> None:
    told = evaluate(items(digits)[:100], digits, metrics=["fid"], device="cpu").protocol
    assert told["source_kind"] == "tensor"
    assert not {"latent_seeds", "sample_labels", "values"} & told.keys()


def test_the_seed_decides_everything(digits: Dataset) -> None:
    first, again, other = (
        evaluate(items(digits)[:200], digits, metrics=["fid", "kid", "diversity"], seed=seed, device="cpu")
        for seed in (1, 1, 2)
    )
    assert first.to_json() == again.to_json()
    assert first.figures != other.figures


def test_the_spread_of_a_mean_is_its_standard_error() -> None:
    x = torch.randn(400, 1, generator=torch.Generator().manual_seed(0))
    some = Extracted(Items(lambda rows: x[rows], torch.arange(400)), x)

    def mean(items: Extracted) -> tuple[float, float]:
        return items.features.mean().item(), 3.0

    halves, subsets = (
        standard_errors(Metric(("mean", "constant"), lambda reference: mean, 2000, subset), some, some, 0)
        for subset in (None, 50)
    )
    exact = x.std().item() / math.sqrt(400)
    assert (halves[1], subsets[1]) == (0, 0)
    assert halves[0] == pytest.approx(exact, rel=0.06)
    assert subsets[0] == pytest.approx(exact, rel=0.06)


def test_a_classifier_of_other_classes_counts_none(digits: Dataset) -> None:
    letters = replace(digits, class_names=tuple("abcdefghij"))
    found = evaluate(items(digits)[:100], letters, metrics=None, features="cnn-digits", device="cpu")
    assert "modes" not in found.figures and not found.shares
    assert "classifier" not in found.protocol


def test_the_classifier_behind_a_score_is_told(digits: Dataset) -> None:
    told = evaluate(items(digits)[:100], digits, metrics=["is"], features="pixels", device="cpu").protocol
    assert (told["features"], told["classifier"]) == ("pixels", "cnn-digits")


# -- warnings ----------------------------------------------------------------------------------------------------------


def warned(found: Evaluation) -> str:
    return " ".join(found.warnings)


def test_few_items_and_absent_splits_are_warned_of(digits: Dataset) -> None:
    assert "has no test split: samples are compared with a random half" in warned(
        evaluate(items(digits), digits, metrics=["fid"], device="cpu")
    )
    few = warned(evaluate(items(digits)[:60], digits, metrics=["fid"], device="cpu"))
    assert "60 samples and 898 real items are no more than the 64 features" in few
    some = warned(evaluate(items(digits)[:70], digits, metrics=["fid"], device="cpu"))
    assert "70 samples and 898 real items are few" in some


def test_samples_of_another_size_are_resized_and_told(digits: Dataset, tmp_path: Path) -> None:
    large = np.kron(digits.items[:50, 0].numpy(), np.ones((2, 2), np.uint8))
    np.savez(tmp_path / "large.npz", images=large)
    np.savez(tmp_path / "own.npz", images=digits.items[:50, 0].numpy())
    resized, own = (
        warned(evaluate(tmp_path / f"{name}.npz", "digits", metrics=["diversity"], device="cpu"))
        for name in ("large", "own")
    )
    assert "The samples are 16×16 pixels and were cut and resized to the data's 8x8" in resized
    assert "resized" not in own


def test_the_floor_of_what_compares_with_nothing_is_of_the_test_split(parts: tuple[Dataset, Dataset]) -> None:
    train, fresh = parts
    assert train.held_out is not None and train.held_out.labels is not None
    wrong = replace(train, held_out=replace(train.held_out, labels=(train.held_out.labels + 1) % 10))
    bare = replace(train, held_out=replace(train.held_out, labels=None))
    floors = [
        evaluate(fresh, data, metrics=["accuracy"], device="cpu").figures["accuracy"].floor for data in (wrong, bare)
    ]
    assert floors[0] < 0.1 and floors[1] > 0.9


def test_items_that_repeat_are_warned_of(digits: Dataset) -> None:
    for distinct, warned in ((8, True), (300, False)):
        repeated = digits.rows(torch.arange(320) % distinct)
        found = evaluate(items(digits)[:100], repeated, metrics=["pr"], device="cpu")
        assert any("occur several times" in warning for warning in found.warnings) == warned


def test_nothing_is_warned_of_where_nothing_is_wrong() -> None:
    ring = items(open_data("ring", split="test", seed=5))[:1500]
    assert evaluate(ring, "ring", metrics=["fid"], device="cpu").warnings == ()


# -- progress ----------------------------------------------------------------------------------------------------------


def test_an_evaluation_reports_what_it_does_and_ends_when_it_is_closed(digits: Dataset) -> None:
    steps = evaluating(items(digits)[:300], digits, metrics=["fid", "copies"], device="cpu")
    reports = list(steps)
    whats = list(dict.fromkeys(report.what for report in reports))
    assert whats == [
        *("looking at samples", "looking at real items", "looking at the training set"),
        *("measuring fid", "measuring copies"),
    ]
    assert [(report.done, report.total) for report in reports[:3]] == [(0, 300), (128, 300), (256, 300)]
    cancelled = evaluating("digits", digits, metrics=["fid"], device="cpu")
    next(cancelled)
    cancelled.close()
    assert next(cancelled, None) is None


# -- large images ------------------------------------------------------------------------------------------------------


def test_no_metric_holds_all_large_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pass over 600 images takes as few at a time as have NUMBERS together, at least two for a pair."""
    held: list[int] = []
    pixels = torch.randint(0, 256, (600, 3, 24, 24), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    batch = Dataset.at

    def at(dataset: Dataset, index: Tensor) -> Batch:
        held.append(len(index))
        return batch(dataset, index)

    monkeypatch.setattr(Dataset, "at", at)
    monkeypatch.setattr(inputs, "NUMBERS", 10 * 3 * 24**2)
    monkeypatch.setattr(copies, "SIDE", 8)
    found = evaluate(Dataset("samples", pixels[:200]), Dataset("large", pixels[200:]), device="cpu")
    assert {"fid", "kid", "precision", "coverage", "diversity", "ms_ssim", "copies"} <= found.figures.keys()
    assert max(held) == 10
    assert found.protocol["ms_ssim"] == "at most 1,000 random pairs of 160 samples, both of the same 10"
    assert found.neighbours is not None and found.neighbours.width < 3 * 5 * 60  # cells of 8 pixels, enlarged sixfold


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "mlp"
    options = {"hidden": "8", "critic_hidden": "8", "latent": "4", "batch": "8"}
    ganvas.train(
        "mlp", "digits", out=path, steps=2, seed=3, device="cpu", precision="fp32", options=options, progress=False
    )
    return path


def test_a_run_is_judged_by_its_own_data(run: Path, digits: Dataset) -> None:
    found = ganvas.evaluate(run, metrics=["fid"], samples=100, seed=2, device="cpu")
    told = found.protocol
    assert (told["source_kind"], told["recipe"], told["step"], len(told["generator"])) == ("run", "mlp", 2, 16)
    assert (told["data_fingerprint"], told["latent_seeds"]) == (digits.fingerprint, "200-299")
    assert "all of which this run was trained on" in warned(found)


def test_a_run_is_judged_by_what_it_held_out(tmp_path: Path, digits: Dataset) -> None:
    options = {"hidden": "8", "critic_hidden": "8", "latent": "4", "batch": "8", "held_out": "0.2"}
    ganvas.train(
        "mlp", "digits", out=tmp_path, steps=1, device="cpu", precision="fp32", options=options, progress=False
    )
    found = evaluate(tmp_path, metrics=["fid", "copies"], device="cpu")
    told, train = found.protocol, digits.hold_out(0.2)
    assert train.held_out is not None
    assert (told["data_fingerprint"], told["data_test_fingerprint"]) == (train.fingerprint, train.held_out.fingerprint)
    assert (told["reference"], told["held_out"]) == ("a share held out of training", "the training split")
    assert (told["reference_count"], told["samples"]) == (359, 1438)
    assert "of the 1,438 training items" in found.findings[0] and "of held-out real items are" in found.findings[0]
    assert "test split" not in warned(found) and "trained on" not in warned(found)


def test_a_runs_own_folder_is_known_by_any_path(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "mine.npz", images=items(digits)[:200].add(1).mul(127.5).byte().permute(0, 2, 3, 1).numpy())
    monkeypatch.chdir(tmp_path)
    options = {"hidden": "8", "critic_hidden": "8", "latent": "4", "batch": "8", "held_out": "0.3"}
    settings: dict[str, Any] = {"device": "cpu", "precision": "fp32", "options": options, "progress": False}
    ganvas.train("mlp", "mine.npz", out="run", steps=1, **settings)
    told = evaluate("run", metrics=["fid"], device="cpu")
    named = evaluate("run", "./mine.npz", metrics=["fid"], device="cpu")
    assert told.protocol["reference"] == named.protocol["reference"] == "a share held out of training"
    assert told.figures == named.figures
    assert "is judged by other items" not in warned(named)


def test_a_checkpoint_is_judged_by_the_data_of_its_run(run: Path, digits: Dataset, tmp_path: Path) -> None:
    generator = (run / "generator.safetensors").read_bytes()
    for best in (tmp_path / "a run" / "checkpoints" / "best", tmp_path / "alone"):
        best.mkdir(parents=True)
        (best / "generator.safetensors").write_bytes(generator)
    (tmp_path / "a run" / "recipe.json").write_bytes((run / "recipe.json").read_bytes())
    of_run, of_best, alone = (
        evaluate(source, data, metrics=["fid"], samples=100, device="cpu")
        for source, data in ((run, None), (tmp_path / "a run" / "checkpoints" / "best", None), (best, digits))
    )
    assert of_run.figures == of_best.figures == alone.figures
    assert of_best.warnings == of_run.warnings
    assert of_best.protocol["source_kind"] == "generator"
    assert of_best.protocol["generator"] == of_run.protocol["generator"]
    with pytest.raises(RequestError, match="data: there is nothing to compare the samples with"):
        evaluate(best, device="cpu")


def test_a_run_is_judged_as_the_samples_that_it_writes(run: Path, tmp_path: Path) -> None:
    pixels = ganvas.load(run).sample(range(100)).add(1).mul(127.5).round().to(torch.uint8)
    np.savez(tmp_path / "a.npz", images=pixels[:, 0].numpy())
    of_run, of_file = (
        evaluate(source, "digits", metrics=["fid"], samples=100, device="cpu").figures["fid"]
        for source in (run, tmp_path / "a.npz")
    )
    assert of_run.value == pytest.approx(of_file.value, rel=1e-5)
    assert of_run.floor == of_file.floor


def test_a_run_on_other_items_is_warned_of(run: Path, digits: Dataset) -> None:
    half = digits.hold_out(0.5)
    assert "trained on digits, and is compared with other items" in warned(
        evaluate(run, half, metrics=["fid"], samples=100, device="cpu")
    )
    mixed = evaluate(run, replace(half, held_out=digits), metrics=["fid"], samples=100, device="cpu")
    assert "A train/test mix: this run was trained on the items that it is compared with" in warned(mixed)


def test_an_evaluation_is_written_with_its_picture(parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    found = evaluate(parts[1], parts[0], metrics=["copies"], device="cpu")
    found.save(tmp_path / "a" / "metrics.json")
    assert json.loads((tmp_path / "a" / "metrics.json").read_text(encoding="utf-8")) == found.to_json()
    assert (tmp_path / "a" / "neighbours.png").is_file()


class Squares(torch.nn.Module):
    """A perceptual distance without weights."""

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        return (x - y).square().flatten(1).sum(1)


def test_the_paths_of_a_generator_of_keywords_are_of_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any word, which it never met in training, it draws nothing that the figure is about."""
    inner = {"shape": [1, 8, 8], "latent": 7, "hidden": [8]}
    decoder = nets.ConditionalGenerator((1, 8, 8), 4, "mlp", inner, embedding=3, keywords=("blue", "red"), prompts=2)
    decoder.prompts.copy_(torch.tensor([[1, 0], [1, 1]]))
    told: list[Tensor] = []
    decoder.register_forward_pre_hook(lambda module, given: told.append(given[1]))
    monkeypatch.setattr(figures.lpips, "load", lambda net, device: Squares())
    figure, _ = figures.path_length(ganvas.TrainedGenerator(decoder, "prompt-gan"), seed=0)
    prompts = torch.cat([torch.zeros(1, 2) if label is None else label for label in told]).unique(dim=0)
    assert prompts.tolist() == [[1, 0], [1, 1]]
    assert all(torch.equal(a, b) for a, b in zip(told[::2], told[1::2], strict=True))
    assert 0 < figure.value < math.inf


def test_the_path_length_is_measured_on_request(
    run: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    with pytest.raises(RequestError, match="the weights of lpips"):
        evaluate(run, metrics=["ppl"], samples=20, device="cpu")
    monkeypatch.setattr(figures.lpips, "load", lambda net, device: Squares())
    found = evaluate(run, metrics=["ppl"], samples=20, device="cpu")
    (name, ppl), *others = found.figures.items()
    assert (name, ppl.floor, others) == ("ppl", None, [])
    expected = path_length(ganvas.load(run).decoder, Squares().distance)
    assert ppl.value == pytest.approx(expected.value)
    assert found.protocol["ppl"].startswith("LPIPS vgg ")


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "data", "metrics", "message"),
    [
        (noise(50, 1, 8, 8), None, None, "data: there is nothing to compare the samples with; name"),
        (noise(50, 1, 9, 9), "digits", None, "give floating point numbers of the data's shape"),
        (torch.zeros(50, 1, 8, 8, dtype=torch.uint8), "digits", None, "torch.uint8"),
        (noise(50, 2), "digits", None, "data's shape"),
        (noise(5, 1, 8, 8), "digits", None, "5 samples and 898 real items are too few"),
        (noise(50, 1, 8, 8), "digits", ["fidd"], "unknown metric 'fidd'; did you mean fid"),
        (noise(50, 1, 8, 8), "digits", ["ppl"], "metrics: 'ppl' needs a generator of images"),
        (noise(50, 1, 8, 8), "digits", ["curve"], "needs the points of sine"),
        (noise(50, 1, 8, 8), "digits", ["accuracy"], "needs samples with labels"),
        (noise(50, 2), "sine", ["high_quality"], "needs points with known modes"),
        (7, "digits", None, "source: int cannot be measured"),
        ("ring", "digits", None, "ring contains points, which have no size"),
    ],
)
def test_requests_that_are_wrong(source: Tensor, data: str | None, metrics: list[str] | None, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        evaluate(source, data, metrics=metrics, device="cpu")


def test_a_generator_is_not_judged_by_points(run: Path) -> None:
    with pytest.raises(RequestError, match="ring contains points, which have no size"):
        evaluate(run, "ring", device="cpu")


def test_samples_that_are_not_finite_are_refused(digits: Dataset) -> None:
    samples = items(digits)[:50].clone()
    samples[7, 0, 3, 3] = math.nan
    with pytest.raises(WorkError, match="NaN"):
        evaluate(samples, digits, metrics=["fid"], features="pixels", device="cpu")


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(RequestError, match=r"recipe\.json is damaged"):
        evaluate(tmp_path, device="cpu")


@pytest.mark.parametrize("metric", ["modes", "diversity", "fid", "is", "ms_ssim", "copies"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1e20])
def test_no_figure_is_made_of_samples_that_are_not_finite(digits: Dataset, metric: str, value: float) -> None:
    x = items(digits)[:100].clone()
    x[70, 0, 3, 3] = value
    with pytest.raises(WorkError, match="a value of samples is NaN, infinite or immense"):
        evaluate(x, digits, metrics=[metric], device="cpu")


def test_fewer_samples_than_none_are_refused(digits: Dataset) -> None:
    with pytest.raises(RequestError, match="0 samples and 898 real items are too few"):
        evaluate(items(digits)[:100], digits, metrics=["fid"], samples=-5, device="cpu")


# -- words -------------------------------------------------------------------------------------------------------------


def test_no_mode_is_missed_by_chance() -> None:
    some = {"modes": Figure(8, 6.4, 9.6, 9, "higher", ""), "precision": Figure(0.9, 0.8, 1, 0.9, "higher", "")}
    assert "no sign of mode collapse" in findings.variety(some)[0]
    some["modes"] = Figure(8, 7.6, 8.4, 9, "higher", "")
    assert "some modes are missing" in findings.variety(some)[0]


@pytest.mark.parametrize(
    ("near", "floor", "said"),
    [
        (0.02, 0.01, "no sign of it"),
        (0.04, 0.01, "some samples may be copies"),
        (0.12, 0.01, "this looks like copying"),
        (0.04, 0.05, "no sign of it"),  # the nearest of 20 real items
        (0.2, 0.2, "no sign of it"),  # of data whose items repeat
        (1.0, 0.2, "this looks like copying"),
        (1.0, 1.0, "no sign of it"),  # of data whose items are all equal
    ],
)
def test_copies_are_told_by_the_odds_of_real_items(near: float, floor: float, said: str) -> None:
    x = torch.zeros(100, 1)
    some = Extracted(Items(lambda rows: x[rows], torch.arange(100)), x)
    found = Copies(torch.arange(100) < 100 * near, floor, 1.0, some, (), x[:, 0])
    assert said in findings.memorisation(found, 1000, tested=True)


def floors(**values: float) -> dict[str, Figure]:
    return {name: Figure(value, value, value, 0.9, "higher", "") for name, value in values.items()}


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"coverage": 0.1}, "unlike the data"),  # without a figure of quality, collapse is not claimed
        ({"coverage": 0.1, "density": 0.9}, "this is mode collapse"),
        ({"coverage": 0.1, "precision": 0.9, "recall": 0.1}, "this is mode collapse"),
        ({"coverage": 0.1, "precision": 0.1, "recall": 0.1}, "unlike the data"),
        ({"coverage": 0.3, "precision": 0.6, "recall": 0.6}, "not a mode collapse"),
        ({"coverage": 0.3, "precision": 0.7, "recall": 0.4}, "not a mode collapse"),  # a GAN after a few minutes
        ({"coverage": 0.1, "precision": 0.7, "recall": 0.1, "modes": 0.9}, "not a mode collapse"),
        ({"coverage": 0.05, "density": 0.9, "modes": 0.9}, "this is mode collapse: they cover 5%"),
        ({"modes": 0.9, "reverse_kl": 1.5}, "no sign of mode collapse"),
        ({"modes": 0.9, "reverse_kl": 1.7}, "this is mode collapse: they are spread as unevenly as over 0.4 modes"),
        ({"modes": 0.9, "reverse_kl": 1.7, "precision": 0.1}, "no sign of mode collapse"),  # of noise nothing is said
        ({"coverage": 0.8, "precision": 0.9, "recall": 0.9}, "no sign of mode collapse"),
        ({"modes": 0.9, "precision": 0.9, "recall": 0.05}, "this is mode collapse: they recall 5.0% of the real items"),
        ({"modes": 0.9, "precision": 0.9, "recall": 0.4}, "no sign of mode collapse"),
        ({"modes": 0.9, "precision": 0.1, "recall": 0.05}, "no sign of mode collapse"),
        ({"modes": 0.3, "precision": 0.1, "coverage": 0.1}, "unlike the data"),  # classes are then guessed
        ({"modes": 0.3, "precision": 0.1}, "unlike the data"),
        ({"modes": 0.3, "precision": 0.1, "coverage": 0.1, "ms_ssim": 0.95}, "this is mode collapse: they reach"),
        ({"modes": 0.3, "high_quality": 0.1, "precision": 0.1}, "this is mode collapse: they reach"),
        ({"diversity": 0.2, "coverage": 0.1, "precision": 0.1}, "two of them are 20% as far apart"),
    ],
    ids=str,
)
def test_sentences_rest_on_what_was_measured(figures: dict[str, float], said: str) -> None:
    (told,) = findings.variety(floors(**figures))
    assert said in told
    assert findings.variety({}) == findings.variety(floors(fid=1.0)) == []
