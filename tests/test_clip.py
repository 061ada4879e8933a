"""CLIP: its loss and towers, what it learns from pairs, what it leaves behind, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import ganvas
from ganvas import frozen, nets, recipes, tokens
from ganvas.data import Dataset, open_data
from ganvas.errors import RequestError, WorkError
from ganvas.metrics.retrieval import ranks, recall
from ganvas.nets.clip import Projection
from ganvas.nets.text import TextTransformer
from ganvas.objectives.contrastive import contrastive_loss
from ganvas.plan import Plan
from ganvas.recipes import Training
from ganvas.recipes.clip import Clip
from ganvas.recipes.pairs import different
from ganvas.run import checkpoint

SMALL = {"widths": "4,8", "depth": 1, "hidden": 16, "dim": 8, "text_width": 16, "text_layers": 1, "heads": 2}
SMALL |= {"batch": 16, "warmup": 0, "lr": 0.01, "gallery": 20, "size": 16, "image_width": 16, "image_layers": 1}


@pytest.fixture(scope="module")
def scenes() -> Dataset:
    """Few and small."""
    whole = open_data("shapes", size=16)
    return replace(whole.rows(torch.arange(400)), held_out=replace(whole.rows(torch.arange(400, 460)), split="test"))


# -- the loss ----------------------------------------------------------------------------------------------------------


def test_the_loss_in_closed_form() -> None:
    """Two pairs at right angles: each choice is between s and 0."""
    x = torch.eye(2)
    loss = contrastive_loss(x, x, torch.tensor(3.0))
    torch.testing.assert_close(loss, torch.full((2,), -torch.tensor([3.0, 0.0]).softmax(0)[0].log().item()))
    torch.testing.assert_close(contrastive_loss(x[:1], x[:1], torch.tensor(5.0)), torch.zeros(1))


def test_the_loss_is_the_papers() -> None:
    torch.manual_seed(0)
    image, text = (F.normalize(torch.randn(7, 5), dim=1) for _ in range(2))
    logits, target = 4 * image @ text.T, torch.arange(7)
    expected = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    torch.testing.assert_close(contrastive_loss(image, text, torch.tensor(4.0)).mean(), expected)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = contrastive_loss(image, text, torch.tensor(4.0)).mean()
    torch.testing.assert_close(rounded, expected)


def test_what_means_the_same_is_no_negative() -> None:
    torch.manual_seed(0)
    image, text = (F.normalize(torch.randn(4, 5), dim=1) for _ in range(2))
    scale, meaning = torch.tensor(4.0), torch.tensor([0, 1, 0, 2])
    loss = contrastive_loss(image, text, scale, meaning)
    without = [i for i in range(4) if i != 2]
    torch.testing.assert_close(loss[0], contrastive_loss(image[without], text[without], scale)[0])
    torch.testing.assert_close(loss[0], contrastive_loss(image[without], text[without], scale, meaning[without])[0])
    assert loss[1] > contrastive_loss(image[without], text[without], scale)[1]  # two different images to tell from
    same = contrastive_loss(image, text, scale, torch.zeros(4, dtype=torch.int64))
    torch.testing.assert_close(same, torch.zeros(4))


def test_recall() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0], [5.0, 4.0, 0.0], [1.0, 1.0, 1.0]])
    assert ranks(scores).tolist() == [1, 2, 3]  # ties earn nothing
    assert [recall(scores, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])


# -- the towers --------------------------------------------------------------------------------------------------------


def test_the_text_tower_sees_nothing_behind_the_end() -> None:
    torch.manual_seed(0)
    tower = TextTransformer(10, 8, 16, 2, 2, outputs=4).eval()
    text = torch.tensor([[8, 1, 2, 9, 0, 0, 0, 0]])
    torch.testing.assert_close(tower(text), tower(text[:, :4]))
    torch.testing.assert_close(tower(text), tower(torch.tensor([[8, 1, 2, 9, 5, 6, 7, 3]])))
    assert not torch.allclose(tower(text), tower(torch.tensor([[8, 2, 1, 9, 0, 0, 0, 0]])))


def test_the_temperature_begins_and_ends_as_in_the_paper() -> None:
    network = tiny()
    assert network.scale.item() == pytest.approx(1 / 0.07)
    with torch.no_grad():
        network.logit_scale.fill_(9.0)
    network.clamp()
    assert network.scale.item() == pytest.approx(100)


def tiny(image: str = "conv") -> nets.Clip:
    torch.manual_seed(0)
    options = {
        "conv": {"size": 16, "widths": [4, 8], "depth": 1, "hidden": 8, "outputs": 6},
        "vit": {"size": 16, "patch": 4, "width": 8, "layers": 1, "heads": 2, "mlp": 16, "pre_norm": True, "outputs": 6},
    }[image]
    words = {"vocabulary": 20, "context": 5, "width": 8, "layers": 1, "heads": 2, "outputs": 6}
    return nets.Clip({"net": image, "options": options}, {"net": "transformer", "options": words}).eval()


@pytest.mark.parametrize("image", ["conv", "vit"])
def test_images_of_any_size_and_colour_are_seen(image: str) -> None:
    network = tiny(image)
    x = torch.rand(2, 1, 16, 16, requires_grad=True)
    seen = network.image(x * 2 - 1)
    torch.testing.assert_close(seen, network.image(x.expand(-1, 3, -1, -1) * 2 - 1))
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(2))
    assert network.image(torch.zeros(2, 3, 40, 23)).shape == (2, 6)
    seen.square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_a_projection_begins_linear_and_ignores_length() -> None:
    torch.manual_seed(0)
    head = Projection(5, 3, hidden=7)
    x = torch.randn(4, 5)
    torch.testing.assert_close(head(x), head(3 * x))
    torch.testing.assert_close(head(x), head.linear(F.normalize(x, dim=1) * 5**0.5))
    same = Projection(5, 5)
    torch.testing.assert_close(same(x), F.normalize(x, dim=1) * 5**0.5)
    same.centre(x)
    around = F.normalize(x, dim=1) - F.normalize(x, dim=1).mean(0)
    torch.testing.assert_close(same(x), F.normalize(around, dim=1) * 5**0.5)


def test_towers_that_do_not_fit_are_refused() -> None:
    good = tiny().options
    with pytest.raises(RequestError, match="a tower of kind 'cnv' is not known"):
        nets.Clip({**good["image"], "net": "cnv"}, good["text"])
    narrow = {"net": "transformer", "options": {**good["text"]["options"], "outputs": 5}}
    with pytest.raises(RequestError, match="embed in 6 and 5 dimensions"):
        nets.Clip(good["image"], narrow)


# -- training ----------------------------------------------------------------------------------------------------------


def run(path: Path, steps: int, data: str = "shapes", **options: object) -> ganvas.Run:
    settings = {**SMALL, **options}
    return ganvas.train(
        "clip", data, out=path, steps=steps, options=settings, device="cpu", precision="fp32", progress=False
    )


@pytest.mark.parametrize("tokenizer", ["bpe", "words"])
def test_it_learns_and_tells(tokenizer: str, tmp_path: Path) -> None:
    trained = run(
        tmp_path / "run", 60, tokenizer=tokenizer, widths="8,16,32", hidden=64, dim=32, text_width=32, batch=64
    )
    last = trained.log[-1]
    assert last["test/image_R@5"] > 0.5 < last["test/text_R@5"]  # by chance 0.25
    assert last["test/image_R@1"] <= last["test/image_R@5"] <= 1
    clip = ganvas.load(tmp_path / "run")
    assert isinstance(clip, ganvas.Clip)
    held = open_data("shapes", size=16, split="test")
    assert held.captions is not None
    rows = different(held.captions, 20)
    x, captions = held.at(torch.tensor(rows)).x, [held.captions[i] for i in rows]
    scores = clip.text(captions) @ clip.images(x, batch=7).T
    assert recall(scores, 1) == pytest.approx(last["test/image_R@1"])
    p = clip.probabilities(x, captions)
    torch.testing.assert_close(p, (clip.network.scale * scores.T).softmax(1))
    assert clip.facts["pairs"] == 10_000
    assert trained.pictures[-1].name == "step-000060.png"
    assert "R@k: share of held-out captions" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_a_run_that_diverges_says_so_where_it_is_measured(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="training diverged"):
        run(tmp_path / "run", 9, lr=1e30, log_every=1, sample_every=1)


def outcome(path: Path) -> Sequence[object]:
    newest = checkpoint.steps(path / "checkpoints")[0]
    names = ("clip.safetensors", f"{newest.relative_to(path)}/model.safetensors", "samples/step-000030.png")
    lines = [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]
    timeless = ("seconds", "images_per_second")
    return [(path / name).read_bytes() for name in names] + [
        {key: value for key, value in line.items() if key not in timeless} for line in lines if line["step"] == 30
    ]


@pytest.mark.parametrize("tower", ["conv", "vit"])
def test_resuming_goes_on_to_the_same_bits(tower: str, tmp_path: Path) -> None:
    options = {"log_every": 1, "sample_every": 10, "checkpoint_every": 7, "dropout": 0.2, "image_tower": tower}
    run(tmp_path / "whole", 30, **options)
    cut = tmp_path / "cut"
    settings = {**SMALL, **options}
    started = ganvas.Run.create("clip", "shapes", out=cut, steps=30, options=settings, device="cpu", precision="fp32")
    ticks = started.advance()
    for progress in ticks:
        if progress.step == 17:
            break
    ticks.close()
    ganvas.resume(cut, progress=False)
    assert outcome(cut) == outcome(tmp_path / "whole")


def test_looking_does_not_change_training(
    scenes: Dataset, unchanged_by_looking: Callable[[Training, Dataset], None]
) -> None:
    unchanged_by_looking(recipes.override(Clip(), {**SMALL, "steps": 6}), scenes)


def test_the_gallery_differs_in_words() -> None:
    captions = ["A cat", "a  cat", "a dog", "a bird", "A DOG"]
    found = different(captions, 9)
    assert sorted(captions[i].lower().replace("  ", " ") for i in found) == ["a bird", "a cat", "a dog"]
    assert different(captions, 2) == found[:2]


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    words = tokens.Words.of(["a cat", "two dogs"], 5)
    network = nets.Clip(
        tiny().options["image"],
        {"net": "transformer", "options": {**tiny().options["text"]["options"], "vocabulary": words.size}},
    ).eval()
    clip = frozen.copy_clip(frozen.Clip(network, words, "clip"), {"data": "pets"})
    clip.write(tmp_path / "clip.safetensors")
    again = frozen.load_clip(tmp_path)
    x = torch.rand(3, 3, 16, 16)
    assert torch.equal(again.images(x), clip.images(x))
    assert torch.equal(again.text(["two cats"]), clip.text(["two cats"]))
    assert (again.facts, again.size) == ({"data": "pets"}, 16)
    clip.write(tmp_path / "half.safetensors", torch.float16)
    torch.testing.assert_close(
        frozen.load_clip(tmp_path / "half.safetensors").images(x), clip.images(x), atol=1e-2, rtol=0
    )
    with pytest.raises(RequestError, match=r"is a CLIP, which matches pictures and words; give a generator"):
        frozen.load_generator(tmp_path / "clip.safetensors")


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_data_without_captions_is_refused(scenes: Dataset) -> None:
    with pytest.raises(RequestError, match=r"1,438 of the 1,438 items of digits have no caption.*captions\.jsonl"):
        recipes.build(Clip(), open_data("digits", hold_out=0.2), Plan())
    assert scenes.captions is not None
    with pytest.raises(RequestError, match="2 of the 400 items of shapes have no caption"):
        recipes.build(Clip(), replace(scenes, captions=("", "", *scenes.captions[2:])), Plan())
    with pytest.raises(RequestError, match="has nothing held out"):
        recipes.build(Clip(), replace(scenes, held_out=None), Plan())
    with pytest.raises(RequestError, match="batch: 1 leaves no negatives"):
        recipes.build(Clip(batch=1), scenes, Plan())
    with pytest.raises(RequestError, match="CLIP needs images, not items of shape"):
        recipes.build(Clip(), open_data("ring", hold_out=0.1), Plan())
    with pytest.raises(RequestError, match="unknown image tower 'vti'; did you mean vit"):
        recipes.build(Clip(image_tower="vti"), scenes, Plan())
    with pytest.raises(RequestError, match="unknown text tower 'mini'"):
        recipes.build(Clip(text_tower="mini"), scenes, Plan())
