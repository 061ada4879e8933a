"""Attributes: judges, tables, and directions that are held to a generator whose attributes are known exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import ganvas
from ganvas import attributes, cli, latent, nets, tokens
from ganvas.attributes.finding import Direction, draw_samples, learn_step, measure
from ganvas.attributes.judges import JudgedSamples, Scores, parse_words, probabilities
from ganvas.attributes.labeller import attributes_of
from ganvas.attributes.source import Source, open_judge
from ganvas.attributes.table import read_labels
from ganvas.cli.bars import watch
from ganvas.data import Dataset, shapes
from ganvas.errors import RequestError, WorkError
from ganvas.frozen import Clip, TrainedGenerator, copy_classifier, copy_clip, weights
from ganvas.nets import CNN, MLPGenerator
from ganvas.progress import Steps, counted, drain

Known = tuple[TrainedGenerator, JudgedSamples, JudgedSamples]


class Linear(MLPGenerator):
    """Four pixels that are linear in a latent of six numbers: top left z₀, top right z₁ + 2 z₀, below z₂ and z₃."""

    def __init__(self) -> None:
        super().__init__((1, 2, 2), latent=6, hidden=(4,), out="linear")

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        x = z[:, :4].clone()
        x[:, 1] = x[:, 1] + 2 * z[:, 0]
        return x.reshape(-1, 1, 2, 2)


class Pixels:
    """A judge for which `left` and `right` are dark or bright as the upper pixels are, and `below` goes by thirds."""

    values: ClassVar = {"left": ("dark", "bright"), "right": ("dark", "bright"), "below": ("low", "middle", "high")}

    def log_scores(self, x: Tensor) -> Scores:
        a, b, c, _ = (8 * x).flatten(1).T
        thirds = torch.stack([-c, 3 - c.abs(), c], 1)
        return {
            "left": torch.stack([-a, a], 1).log_softmax(1),
            "right": torch.stack([-b, b], 1).log_softmax(1),
            "below": thirds.log_softmax(1),
        }


@pytest.fixture
def known() -> Known:
    model = TrainedGenerator(Linear().eval().requires_grad_(False), "mlp")
    return model, draw_samples(model, Pixels(), range(600)), draw_samples(model, Pixels(), range(1000, 1300))


def test_boundaries_are_those_that_the_judge_draws(known: Known) -> None:
    _, samples, _ = known
    normals = {(one.attribute, one.value): one.vector for one in attributes.fit(samples)}
    assert len(normals) == 7
    assert normals["left", 1] @ torch.eye(6)[0] > 0.98
    torch.testing.assert_close(normals["left", 0], -normals["left", 1], atol=1e-4, rtol=0)
    assert normals["right", 1] @ torch.tensor([2.0, 1, 0, 0, 0, 0]) / 5**0.5 > 0.98
    assert normals["below", 2] @ torch.eye(6)[2] > 0.98


def test_a_step_changes_what_it_says_and_leaks_what_it_must(known: Known) -> None:
    model, samples, held_out = known
    found = {
        (one.direction.attribute, one.direction.value): one
        for one in drain(attributes.find(model, Pixels(), samples, held_out, steer=False))
    }
    right = found["right", 1]  # whose boundary alone would change the left pixel as well
    assert right.direction.method == "conditioned"
    assert right.direction.vector @ torch.eye(6)[1] > 0.97
    for one in (right, found["left", 1], found["below", 2]):
        assert one.effect.changed > 0.8
        assert one.effect.leakage < 0.2
        assert one.accuracy > 0.9
    plain = next(one for one in attributes.fit(samples) if (one.attribute, one.value) == ("right", 1))
    leaks = measure(model, Pixels(), held_out, plain, 2.0).leaked
    exact = ((held_out.z[:, 0] > 0) != (held_out.z[:, 0] + 2 * plain.vector[0] > 0)).double().mean().item()
    assert leaks["left"] == pytest.approx(exact, abs=0.01)


def test_effects_are_those_of_samples_that_lack_the_value(known: Known) -> None:
    model, _, held_out = known
    nothing = measure(model, Pixels(), held_out, Direction("left", 1, torch.zeros(6)), 1.0)
    assert (nothing.leakage, nothing.gained) == (0, 0)
    one = drain(attributes.find(model, Pixels(), *known[1:], steer=False))[0]
    assert one.effect.samples == int(
        (held_out.scores["left"].argmax(1) != one.direction.value)
        .logical_and(torch.stack([p.max(1).values for p in held_out.scores.values()]).min(0).values >= 0.8)
        .sum()
    )


def test_a_learnt_step_leaves_what_it_shall_leave(known: Known) -> None:
    """From a start that changes both upper pixels it finds its way to the right one alone."""
    model, samples, _ = known
    dark = samples.at((samples.scores["right"].argmax(1) == 0).nonzero().flatten())
    start = 3 * torch.tensor([1.0, 1, 0, 0, 0, 0]) / 2**0.5
    w = learn_step(model, Pixels(), dark, "right", 1, 4.0, start)
    assert w[1] > 1
    assert w[0].abs() < 0.5 * w[1]
    assert torch.equal(w, learn_step(model, Pixels(), dark, "right", 1, 4.0, start))


def test_steps_that_are_learnt_are_taken_where_they_do_better(known: Known) -> None:
    model, *both = known
    samples, held_out = (one._replace(scores={name: one.scores[name] for name in ("left", "right")}) for one in both)
    found = drain(attributes.find(model, Pixels(), samples, held_out))
    plain = drain(attributes.find(model, Pixels(), samples, held_out, steer=False))
    assert "steered" in [one.direction.method for one in found]
    for one, other in zip(found, plain, strict=True):
        assert one.effect.leakage <= other.effect.leakage
        assert one.effect.changed > other.effect.changed - 0.02


def test_nothing_to_tell_apart_is_refused(known: Known) -> None:
    model, samples, held_out = known
    same = samples._replace(scores={"left": torch.tensor([[1.0, 0.0]]).expand(600, 2)})
    with pytest.raises(RequestError, match="other words"):
        drain(attributes.find(model, Pixels(), same, held_out))


def test_a_labeller_learns_every_attribute_of_real_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shapes, "SCENES", 1500)
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path))
    data = ganvas.open_data("one-shape", size=16).hold_out(0.1)
    learning = attributes.learn(data, steps=60)
    assert [next(learning).done for _ in range(60)] == list(range(1, 61))
    labeller = drain(learning)
    assert labeller.values == {key: list(attributes_of(data)[key][0]) for key in ("shape", "color", "size")}
    assert labeller.classifier.class_names[6:8] == ("color=red", "color=orange")
    right = labeller.classifier.facts["accuracy"]
    assert right["color"] > 0.6 and right["size"] > 0.5 and 0 < right["shape"] < 1
    again = drain(attributes.learn(data, steps=3)), drain(attributes.learn(data, steps=3))
    for a, b in zip(*(one.classifier.network.parameters() for one in again), strict=True):
        assert torch.equal(a, b)


def test_what_is_known_of_a_data_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    digits = attributes_of(ganvas.open_data("digits"))
    assert list(digits) == ["class"] and digits["class"][0] == tuple("0123456789")
    nothing = {
        "empty": torch.zeros(1797, 0, dtype=torch.int64),
        "share": torch.rand(1797),
        "same": torch.ones(1797).long(),
    }
    assert list(attributes_of(replace(ganvas.open_data("digits"), attributes=nothing))) == ["class"]
    monkeypatch.setattr(shapes, "SCENES", 100)
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path))
    several = attributes_of(ganvas.open_data("shapes", size=16))
    assert list(several) == ["count", "shape", "color", "size"]
    with pytest.raises(RequestError, match="no attributes or classes"):
        attributes_of(ganvas.open_data("sine"))


def test_judges_give_probabilities_in_their_order() -> None:
    torch.manual_seed(0)
    network = CNN((1, 8, 8), 5, (4, 4)).eval()
    classifier = copy_classifier(network, tuple("abcde"), {"heads": {"one": ["a", "b"], "two": ["c", "d", "e"]}})
    x = torch.rand(7, 1, 8, 8)
    both = attributes.Labeller(classifier, classifier.facts["heads"])
    alone = attributes.Labeller(classifier, {"class": classifier.class_names})
    scores = probabilities(both, x, "cpu", batch=3)
    assert {name: p.shape for name, p in scores.items()} == {"one": (7, 2), "two": (7, 3)}
    logits = classifier.logits(x)
    torch.testing.assert_close(scores["two"], logits[:, 2:].softmax(1))
    torch.testing.assert_close(probabilities(alone, x, "cpu")["class"], logits.softmax(1))


def test_words_are_read_once_and_lead_to_a_gradient() -> None:
    torch.manual_seed(0)
    words = tokens.Words.of(["a red one", "a blue one"], 5)
    image = {"size": 16, "widths": [4, 8], "depth": 1, "hidden": 8, "outputs": 6}
    text = {"vocabulary": words.size, "context": 5, "width": 8, "layers": 1, "heads": 2, "outputs": 6}
    network = nets.Clip({"net": "conv", "options": image}, {"net": "transformer", "options": text})
    clip = copy_clip(Clip(network.eval(), words, "clip"), {})
    judge = attributes.Words(clip, {"color": ("red", "blue")}, "a {label} one")
    x = torch.rand(3, 1, 16, 16, requires_grad=True)
    found = probabilities(judge, x.detach(), "cpu")["color"]
    torch.testing.assert_close(found, clip.probabilities(x.detach(), ["a red one", "a blue one"]))
    (slope,) = torch.autograd.grad(judge.log_scores(x)["color"].sum(), x)
    assert slope.abs().sum() > 0
    assert judge.texts is judge.texts


def test_words_are_parsed_into_attributes() -> None:
    assert parse_words(["color=red, blue", "big,small"]) == {"color": ("red", "blue"), "words-2": ("big", "small")}
    assert parse_words(["a b,c"]) == {"words": ("a b", "c")}
    for wrong in ("red", "color=red", "red,red", ""):
        with pytest.raises(RequestError, match="two different words"):
            parse_words([wrong])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of 8×8 pictures whose first latent is their brightness."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("run") / "generator.safetensors"
    decoder = MLPGenerator((1, 8, 8), latent=4, hidden=(16,))
    with torch.no_grad():
        decoder.layers[0].weight[:, 0] *= 3  # pyright: ignore[reportIndexIssue]
    TrainedGenerator(decoder.eval().requires_grad_(False), "mlp").write(path)
    return path


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_says_what_it_says(tmp_path: Path) -> None:
    seeds, columns = read_labels(
        written(tmp_path, "seed,smile,age", "4,yes,1", "9,,2.5", "2,no,3", "3,yes,4", "5,no,5", "6,no,6")
    )
    assert seeds == [4, 9, 2, 3, 5, 6]
    smile, age = columns
    assert (smile.classes, smile.rows.tolist()) == (("no", "yes"), [0, 2, 3, 4, 5])
    assert smile.labels.tolist() == [1, 0, 1, 0, 0]
    assert (age.classes, age.labels.tolist()) == ((), [1, 2.5, 3, 4, 5, 6])
    for lines, said in {
        ("smile,age", "yes,1"): "no column seed",
        ("seed", "1"): "no column seed next to others",
        ("seed,smile", "one,yes"): "whole number",
        ("seed,smile", "1,yes", "2,yes"): "fewer than two",
        ("seed,smile",): "no row below its header",
        ("seed,smile", "-1,yes", "2,no"): "the seed -1",
        ("seed,smile", "1,yes", f"{2**63},no"): f"the seed {2**63}",
        ("seed,age", *(f"{i},{age}" for i, age in enumerate((1, 2, 3, 4, 5, "nan")))): "not finite",
    }.items():
        with pytest.raises(RequestError, match=said):
            read_labels(written(tmp_path, *lines))
    assert read_labels(written(tmp_path, "\ufeffseed, smile", "1,yes", "2, no"))[1][0].classes == ("no", "yes")
    with pytest.raises(RequestError, match="cannot read the labels"):
        read_labels(tmp_path / "none.csv")


def test_a_table_leads_along_what_it_labels(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    z = ganvas.frozen.load_generator(run).latents(range(120))
    rows = [f"{i},{'yes' if z[i, 0] > 0 else 'no'},{z[i, 1] + 0.5 * z[i, 0]:.3f}" for i in range(120)]
    table, out = written(tmp_path, "seed,bright,tilt", *rows), tmp_path / "d.npz"
    words = ["directions", str(run), "--method", "attribute", "--labels", str(table), "--out", str(out)]
    assert cli.main(words) == 0
    assert "bright=yes" in capsys.readouterr().out
    found = latent.read_directions(out, torch.zeros(1, 4))
    assert found.names == ("bright=yes", "tilt")
    assert found.vectors[1] @ torch.eye(4)[1] > 0.95  # conditioned on brightness
    assert (found.measured["accuracy"] > 0.8).all()


def test_the_command_takes_a_labeller_or_a_classifier(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(1)
    file, out = tmp_path / "labeller.safetensors", tmp_path / "d.npz"
    heads = {"first": ["a", "b"], "second": ["c", "d"]}
    network = CNN((1, 8, 8), 4, (8, 8), norm=False).eval()
    with torch.no_grad():  # it finds as many of the one as of the other
        network.head[-1].bias -= network(ganvas.frozen.load_generator(run).sample(range(200))).mean(0)
        network.head[-1].weight *= 30
        network.head[-1].bias *= 30
    names = [f"{name}={value}" for name, values in heads.items() for value in values]
    copy_classifier(network, names, {"heads": heads}).write(file)
    words = ["directions", str(run), "--method", "attribute", "--samples", "200", "--held-out", "40", "--no-steer"]
    assert cli.main([*words, "--labeller", str(file), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "changes" in said and "leaks at most" in said
    found = latent.read_directions(out, torch.zeros(1, 4))
    assert set(found.names) <= set(names) and len(found.names) >= 2
    assert {"strength", "changed", "leakage", "gained", "accuracy", "samples"} <= set(found.measured)
    assert np.isfinite(found.measured["changed"]).all()
    assert out.with_suffix(".png").exists()
    assert cli.main([*words, "--classifier", str(file), "--out", str(out)]) == 0
    assert all(name.startswith("class=first=") or "class=" in name for name in latent.read_directions(out).names)


def test_a_labeller_that_was_just_taught_judges_where_the_generator_draws(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ganvas.frozen.load_generator(run)

    def learn(data: Dataset) -> Steps[attributes.Labeller]:
        yield from counted([data], "learning to label")
        return attributes.Labeller(copy_classifier(CNN((1, 8, 8), 2, (4,)).eval(), ("a", "b"), {"heads": {}}), {})

    monkeypatch.setattr(attributes.source, "learn", learn)
    file = tmp_path / "labeller.safetensors"
    on_meta = replace(model, decoder=model.decoder.to("meta"))
    judge = watch(open_judge(run, on_meta, Source(data="digits", labeller=file)))
    assert "a labeller of digits, trained on " in capsys.readouterr().out
    assert isinstance(judge, attributes.Labeller)
    assert all(weight.is_meta for weight in judge.classifier.network.parameters())
    assert file.exists()
    with pytest.raises(WorkError, match="cannot write"):
        drain(open_judge(run, model, Source(data="digits", labeller=file / "inside.safetensors")))


def test_the_command_refuses_with_its_fix(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.safetensors"
    copy_classifier(CNN((3, 8, 8), 2, (4,)).eval(), ("a", "b"), {}).write(other)
    for words, said in {
        (): "no source of attributes was given; give --data, --labels, --words or --classifier",
        ("--data", "no-such"): "unknown data set",
        ("--words", "red"): "two different words",
        ("--words", "red,blue", "--template", "red"): "no place for the word",
        ("--classifier", str(other)): "draws (1, 8, 8)",
        ("--labels", "none.csv"): "none.csv",
        ("--samples", "50"): "give 100",
        ("--words", "a,b", "--classifier", str(other)): "--classifier: --words is given too",
        ("--clip", str(other), "--data", "digits"): "--clip: CLIP judges by words; name --words",
    }.items():
        assert cli.main(["directions", str(run), "--method", "attribute", "--out", "d.npz", *words]) == 2
        assert said in capsys.readouterr().err
    assert cli.main(["directions", str(run), "--out", "d.npz", "--labels", "labels.csv"]) == 2
    assert "--labels: --method sefa looks at no attributes; use attribute" in capsys.readouterr().err


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of discs on white, red where the first number of the latent is positive, or else blue."""
    rows = torch.arange(32) - 15.5
    inside = rows[:, None].square() + rows.square() < 10**2
    decoder = MLPGenerator((3, 32, 32), latent=4, hidden=(2,))
    first, _, last = decoder.layers
    red = torch.tensor([3.0, 0, -3])[:, None, None] * inside
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [-1, 0, 0, 0]]))
        first.bias.zero_()
        last.weight.copy_(torch.stack([red.flatten(), -red.flatten()], 1))
        last.bias.copy_(torch.where(inside, torch.tensor([0.0, -3, 0])[:, None, None], 3.0).flatten())
    path = tmp_path_factory.mktemp("disc") / "generator.safetensors"
    TrainedGenerator(decoder.eval().requires_grad_(False), "mlp").write(path)
    return path


def test_words_lead_where_clip_sees_them(disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped CLIP, which knows colours, finds the one number of the latent that changes them."""
    clip, out = str(weights.locate("paint-clip.safetensors")), tmp_path / "d.npz"
    words = ["--words", "color=red,blue", "--template", "a {label} circle", "--clip", clip]
    few = ["--samples", "100", "--held-out", "40", "--no-steer"]
    assert cli.main(["directions", str(disc), "--method", "attribute", *words, *few, "--out", str(out)]) == 0
    assert "color=red" in capsys.readouterr().out
    found = latent.read_directions(out, torch.zeros(1, 4))
    assert found.names == ("color=red", "color=blue")
    assert found.vectors[0, 0] > 0.9
    assert found.vectors[1, 0] < -0.9
    assert (found.measured["changed"] > 0.65).all()  # of some dozen; the step was chosen to change 0.85 of others
    blue = ["--seed", "0", "--direction", f"{out}:color=blue", "--strength", "0:4", "--steps", "2"]
    assert cli.main(["edit", str(disc), *blue, "--out", str(tmp_path / "strip.png")]) == 0
    with Image.open(tmp_path / "strip.png") as strip:
        before, after = np.asarray(strip)[strip.height // 2, [strip.width // 4, 3 * strip.width // 4]]
    assert before[0] > 200 > 60 > before[2]
    assert after[2] > 200 > 60 > after[0]
