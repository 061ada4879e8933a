"""GANs with labels: networks, rules, keywords, what is saved of them, and what is refused."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import ganvas
from ganvas import cli, frozen, latent, nets, recipes
from ganvas.data import Dataset
from ganvas.errors import RequestError
from ganvas.loop import train
from ganvas.nets.conditional import as_weights
from ganvas.objectives.classification import classification_loss, misclassification_loss
from ganvas.plan import Plan
from ganvas.recipes.conditional import Conditional
from ganvas.run import Run, checkpoint
from ganvas.tokens import keywords

TINY = {"batch": 8, "width": 4, "hidden": "8", "critic_hidden": "8", "latent": 4, "max_width": 8, "embedding": 3}
CAPTIONS = ("a red circle", "a small red star and the blue star", "Blue circle!", "")


def toy(count: int = 64, size: int = 8) -> Dataset:
    """Dark and bright images, told by their class and in words."""
    label = torch.arange(count) % 2
    noise = torch.randint(0, 40, (count, 1, size, size), generator=torch.Generator().manual_seed(0))
    return Dataset(
        name="toy",
        items=(noise + 200 * label[:, None, None, None]).to(torch.uint8),
        labels=label,
        class_names=("dark", "bright"),
        captions=tuple(("a dark square", "a bright square")[i] for i in label.tolist()),
    )


def play(steps: int = 2, images: Dataset | None = None, **settings: object) -> dict[str, float]:
    """The statistics of the last of a few steps of a tiny game."""
    options = recipes.override(Conditional(), {**TINY, **settings})
    torch.manual_seed(0)
    images = images or toy()
    system = recipes.build(options, images, Plan())
    seen: dict[str, float] = {}
    for _, stats in train(system, images, steps=steps, batch=8):
        seen |= {name: value.item() for name, value in stats.items()}
    assert all(math.isfinite(value) for value in seen.values()), seen
    return seen


# -- formulas and networks ---------------------------------------------------------------------------------------------


def test_matching_one_word_is_the_cross_entropy() -> None:
    logits, label = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2])
    matched = classification_loss(logits, F.one_hot(label, 4))
    torch.testing.assert_close(matched, F.cross_entropy(logits, label, reduction="none"))


def test_matching_and_avoiding_several_words() -> None:
    logits, words = torch.randn(3, 5), torch.tensor([[1, 1, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]])
    p = logits.softmax(1)
    expected = torch.stack([-p[0, [0, 1, 4]].log().mean(), -p[1, 3].log(), torch.tensor(0.0)])
    torch.testing.assert_close(classification_loss(logits, words), expected)
    avoided = -(1 - (p * words).sum(1)).log()
    torch.testing.assert_close(misclassification_loss(logits, words), avoided)
    every = misclassification_loss(logits.requires_grad_(), torch.ones(3, 5)).sum()
    assert torch.autograd.grad(every, logits)[0].isfinite().all()


def test_the_projection_critic_adds_the_words_outputs() -> None:
    inner = nn.Linear(6, 4)
    x, label = torch.randn(5, 6), torch.tensor([0, 2, 1, 0, 2])
    outputs = inner(x)
    critic = nets.ProjectionCritic(inner, 3)
    torch.testing.assert_close(critic(x, label), outputs[:, 0] + outputs[torch.arange(5), 1 + label])
    both = torch.tensor([[1, 0, 1]]).expand(5, 3)
    torch.testing.assert_close(critic(x, both), outputs[:, 0] + outputs[:, 1] + outputs[:, 3])


@pytest.mark.parametrize("net", ["mlp", "dcgan", "residual"])
@pytest.mark.parametrize("rule", ["projection", "embedding", "ac", "both", "source"])
def test_every_rule_plays_with_every_network(rule: str, net: str) -> None:
    seen = play(net=net, rule=rule)
    assert ("critic/words_real" in seen) == (rule in ("ac", "both", "source"))
    assert {"critic/loss", "generator/loss", "critic/accuracy_real"} <= seen.keys()


@pytest.mark.parametrize("settings", [{"critic_norm": "batch"}, {"penalty": "gp:10", "penalty_every": 1}])
def test_real_and_fake_keep_their_words_however_they_are_judged(settings: dict[str, object]) -> None:
    """A critic with batch norm judges them apart, and a penalty once more."""
    assert "critic/words_fake" in play(rule="source", net="dcgan", **settings)


@pytest.mark.parametrize("objective", ["r3gan", "wgan-gp", "hinge"])
def test_other_objectives(objective: str) -> None:
    play(objective=objective, penalty="auto", minibatch_stddev=True)


def test_labelled_points() -> None:
    points = Dataset(name="two", items=torch.randn(32, 2), labels=torch.arange(32) % 2, class_names=("a", "b"))
    for rule in ("projection", "embedding", "ac"):
        play(images=points, rule=rule)


def test_the_gradient_of_a_rule_reaches_every_weight() -> None:
    options = recipes.override(Conditional(), {**TINY, "rule": "source", "net": "mlp"})
    system = recipes.build(options, toy(), Plan())
    next(iter(train(system, toy(), steps=1, batch=8)))
    for phase in system.phases:
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in phase.params), phase.name


def test_it_learns_to_draw_what_it_is_told() -> None:
    for settings in ({"rule": "projection"}, {"rule": "ac"}, {"told": "keywords", "rule": "source"}):
        small = {**TINY, "net": "mlp", "hidden": "32", "critic_hidden": "32", "lr": 2e-3, "batch": 16}
        options = recipes.override(Conditional(), {**small, **settings})
        torch.manual_seed(0)
        images = toy()
        system = recipes.build(options, images, Plan())
        for _ in train(system, images, steps=150, batch=16):
            pass
        assert system.decoder is not None
        generator = frozen.copy_generator(system.decoder, "test", images.class_names, "cpu")
        means = {word: generator.sample(range(32), label=word).mean().item() for word in ("dark", "bright")}
        assert means["dark"] < -0.4 and means["bright"] > means["dark"] + 0.5, (settings, means)


# -- keywords ----------------------------------------------------------------------------------------------------------


def test_keywords_are_the_words_that_name_something() -> None:
    assert keywords.keywords_of(CAPTIONS, 10) == ("blue", "circle", "red", "star")[:3]
    assert keywords.keywords_of(CAPTIONS, 10, least=1) == ("blue", "circle", "red", "small", "star")
    assert keywords.keywords_of(CAPTIONS, 2, least=1) == ("blue", "circle")
    marks = keywords.mark(CAPTIONS, ("blue", "circle", "red"))
    assert marks.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0]]


def test_a_prompt_is_a_set_of_keywords() -> None:
    known = ("blue", "circle", "red")
    assert keywords.marked("a Red circle", known).tolist() == [0, 1, 1]
    with pytest.raises(RequestError, match="unknown keyword 'rde'; did you mean red"):
        keywords.marked("a rde circle", known)
    with pytest.raises(RequestError, match="names nothing"):
        keywords.marked("a", known)


def conditional(**options: object) -> nets.ConditionalGenerator:
    inner = {"shape": [1, 8, 8], "latent": 7, "hidden": [8]}
    torch.manual_seed(0)
    return nets.ConditionalGenerator((1, 8, 8), 4, "mlp", inner, embedding=3, **options).eval()  # type: ignore[arg-type]


def test_classes_and_keywords_survive_freezing(tmp_path: Path) -> None:
    by_class = conditional(classes=3)
    by_word = conditional(keywords=("blue", "circle", "red"), prompts=2)
    by_word.prompts.copy_(torch.tensor([[1, 1, 0], [0, 0, 1]]))
    for name, decoder in (("class", by_class), ("word", by_word)):
        ganvas.TrainedGenerator(decoder, "cgan", ("a", "b", "c") if name == "class" else ()).write(tmp_path / name)
        loaded = frozen.load_generator(tmp_path / name)
        told = loaded.labels([0, 1])
        z = loaded.latents([0, 1])
        assert torch.equal(loaded.sample([0, 1]), decoder(z, told))
    classes = frozen.load_generator(tmp_path / "class")
    assert classes.labels([4, 5], "b").tolist() == [1, 1]  # type: ignore[union-attr]
    words = frozen.load_generator(tmp_path / "word")
    assert words.labels([0, 1, 2]).tolist() == [[1, 1, 0], [0, 0, 1], [1, 1, 0]]  # type: ignore[union-attr]
    assert words.labels([7], "red circle").tolist() == [[0, 1, 1]]  # type: ignore[union-attr]
    assert not torch.equal(words.sample([0], label="red"), words.sample([0], label="blue"))
    with pytest.raises(RequestError, match="unknown keyword"):
        words.sample([0], label="green")


@pytest.mark.parametrize("known", [{"classes": 3}, {"keywords": ("blue", "circle", "red"), "prompts": 2}])
def test_words_in_the_latent_draw_what_the_label_would(known: dict[str, object], tmp_path: Path) -> None:
    decoder = conditional(**known)
    if "prompts" in known:
        decoder.prompts.copy_(torch.tensor([[1, 1, 0], [0, 0, 1]]))
    told = ganvas.TrainedGenerator(decoder, "cgan")
    told.place_words("latent").write(tmp_path / "open")
    within = frozen.load_generator(tmp_path / "open")
    z, labels = told.latents([5, 6]), told.labels([5, 6])
    assert labels is not None and within.labels([5, 6]) is None
    joined = torch.cat([z, as_weights(labels, 3)], 1)
    assert torch.equal(within.decode(joined), told.decode(z, labels))
    assert torch.equal(within.place_words("label").decode(z, labels), told.decode(z, labels))
    drawn = within.latents(range(40))
    assert drawn.shape == (40, 7)
    sets = torch.eye(3) if "classes" in known else decoder.prompts.float()
    assert drawn[:, 4:].unique(dim=0).tolist() == sets.unique(dim=0).tolist()
    with pytest.raises(RequestError, match="has its words in its latent"):
        within.labels([0], "red")
    with pytest.raises(RequestError, match="unknown place of the words 'z'"):
        told.place_words("z")


def test_walks_show_one_label() -> None:
    decoder = conditional(keywords=("blue", "red"))
    z, label = torch.randn(3, 4), torch.tensor([0, 1])
    frames = torch.stack(list(latent.walk(decoder, z, label=label, batch=2)))
    torch.testing.assert_close(frames, decoder(z, label.expand(3, 2)))


# -- runs and commands -------------------------------------------------------------------------------------------------


def outcome(path: Path) -> list[bytes]:
    newest = checkpoint.steps(path / "checkpoints")[0]
    files = [newest / checkpoint.MODEL, newest / checkpoint.OPTIMISERS, path / "generator.safetensors"]
    return [file.read_bytes() for file in files]


@pytest.mark.parametrize(
    ("recipe", "rule", "data"),
    [("cgan", "projection", "digits"), ("cgan", "embedding", "digits"), ("prompt-gan", "source", "words")],
)
def test_resume_is_exact(recipe: str, rule: str, data: str, tmp_path: Path) -> None:
    if data == "words":
        data = str(toy().save(tmp_path / "words"))
    options = {**TINY, "rule": rule, "log_every": 3, "checkpoint_every": 5, "monitor_every": 0}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    ganvas.train(recipe, data, out=whole, steps=12, options=options, device="cpu", progress=False)
    left = random.randint(1, 11)
    for progress in Run.create(recipe, data, out=parts, steps=12, options=options, device="cpu").advance():
        if progress.step == left:
            break
    ganvas.resume(parts, progress=False)
    assert outcome(parts) == outcome(whole), left


def test_the_commands_take_prompts_and_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "generator.safetensors"
    ganvas.TrainedGenerator(conditional(keywords=("blue", "red"), prompts=1), "prompt-gan").write(file)

    def run(*words: object) -> int:
        return cli.main([str(word) for word in words])

    out = tmp_path / "red.npz"
    assert run("sample", file, "--seeds", "0-2", "--prompt", "red", "--out", out) == 0
    assert np.load(out)["labels"].tolist() == [[0, 1]] * 3
    assert run("sample", file, "--seeds", "0-2", "--out", tmp_path / "any.png") == 0
    assert run("walk", file, "--prompt", "red", "--seconds", "0.2", "--fps", "10", "--out", tmp_path / "w.webp") == 0
    assert run("breed", file, "--parents", "1,2", "--prompt", "blue red", "--out", tmp_path / "litter") == 0
    assert '"label": [\n  1,\n  1\n ]' in (tmp_path / "litter" / "lineage.json").read_text()
    capsys.readouterr()
    assert run("sample", file, "--prompt", "rad", "--out", out) == 2
    assert "unknown keyword 'rad'; did you mean red?" in capsys.readouterr().err
    assert run("sample", file, "--prompt", "red", "--label", "red", "--out", out) == 2
    assert "exclude each other" in capsys.readouterr().err


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"pack": 2}, "pack: 2 would mix items of different labels"),
        ({"objective": "began", "net": "dcgan"}, "objective: 'began' reconstructs items"),
    ],
)
def test_what_has_no_meaning_with_words(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        play(**settings)


def test_data_without_words() -> None:
    bare = Dataset(name="bare", items=toy().items)
    with pytest.raises(RequestError, match="bare has no classes"):
        play(images=bare)
    with pytest.raises(RequestError, match="bare has no captions"):
        play(images=bare, told="keywords")


def test_words_of_a_batch_are_those_of_its_items() -> None:
    """No keyword is told that an item has not; a share is left out."""
    from ganvas.recipes.conditional import ConditionalLoss

    options = recipes.override(Conditional(), {**TINY, "told": "keywords", "keyword_dropout": 0.5, "net": "mlp"})
    images = toy()
    system = recipes.build(options, images, Plan())
    game = system.phases[0].loss.__self__  # type: ignore[attr-defined]
    assert isinstance(game, ConditionalLoss) and game.marks is not None
    batch = images.batch(0, 64)
    words: Tensor = game.labels_of(batch)
    whole = keywords.mark(images.captions or (), ("bright", "dark", "square"))[batch.index]
    assert (words <= whole).all()
    assert 0.3 < words.sum() / whole.sum() < 0.7


@pytest.mark.parametrize("method", ["sefa", "pca"])
def test_directions_of_a_prompted_generator(method: str, tmp_path: Path) -> None:
    file, out = tmp_path / "generator.safetensors", tmp_path / "directions.npz"
    ganvas.TrainedGenerator(conditional(keywords=("blue", "red"), prompts=3), "prompt-gan").write(file)
    words = ["directions", str(file), "--method", method, "--count", "2", "--samples", "20", "--out", str(out)]
    assert cli.main([*words, "--label", "red"]) == 0
    assert np.load(out)["directions"].shape == (2, 4)
    assert cli.main([*words, "--set", "words=latent"]) == 0
    assert np.load(out)["directions"].shape == (2, 6)
