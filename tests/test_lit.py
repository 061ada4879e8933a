"""Locked-image tuning: fixed towers looked through once, projections that train, and a file that finds them again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

import ganvas
from ganvas import frozen
from ganvas.cli import main
from ganvas.data import open_data
from ganvas.errors import RequestError
from ganvas.features.cached import Cache, embedding, key
from ganvas.features.convert import convert
from ganvas.frozen.published import write
from ganvas.frozen.towers import Sentences, open_sentences, open_tower
from ganvas.nets.bert import Bert
from ganvas.nets.vit import VisionTransformer
from ganvas.plan import Plan
from ganvas.progress import drain
from ganvas.run import checkpoint

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "an", "and", "of", "left", "right", "above", "below"]
VOCABULARY += ["small", "large", "red", "orange", "yellow", "green", "blue", "purple", "black"]
VOCABULARY += ["circle", "square", "triangle", "star", "cross", "heart"]
SETTINGS = {
    "size": 0,
    "hidden": 0,
    "dropout": 0,
    "batch": 32,
    "dim": 16,
    "warmup": 0,
    "lr": 0.01,
    "gallery": 20,
    "log_every": 1,
}


@pytest.fixture
def towers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of two small towers with random weights, under the names of the published ones."""
    folder = tmp_path / "weights"
    torch.manual_seed(0)
    options = {"size": 16, "patch": 4, "width": 24, "layers": 1, "heads": 2, "mlp": 32, "pre_norm": True, "outputs": 16}
    write(folder / "clip.safetensors", options, VisionTransformer(**options).state_dict())
    words = {"vocabulary": VOCABULARY, "context": 40, "width": 24, "layers": 1, "heads": 2, "mlp": 32}
    write(folder / "minilm.safetensors", words, Bert(**words).state_dict())
    monkeypatch.setenv("GANVAS_WEIGHTS", str(folder))
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def scenes(towers: Path, tmp_path: Path) -> Path:
    """Three hundred scenes with captions."""
    return open_data("shapes", size=16).rows(torch.arange(300)).save(tmp_path / "scenes")


def run(path: Path, data: Path, steps: int, **options: object) -> ganvas.Run:
    settings = {**SETTINGS, **options}
    return ganvas.train(
        "lit", str(data), out=path, steps=steps, options=settings, device="cpu", precision="fp32", progress=False
    )


# -- training ----------------------------------------------------------------------------------------------------------


def test_it_learns_and_its_file_finds_the_towers(towers: Path, scenes: Path, tmp_path: Path) -> None:
    trained = run(tmp_path / "run", scenes, 60)
    first, last = trained.log[0], trained.log[-1]
    assert last["clip/loss"] < first["clip/loss"]
    assert last["held_out/image_R@5"] > 0.35  # by chance 0.25
    file = tmp_path / "run" / "clip.safetensors"
    assert file.stat().st_size < 10_000  # the towers are not in it
    clip = frozen.load_clip(file)
    assert isinstance(clip.tokenizer, Sentences)
    assert (clip.size, clip.facts["pairs"]) == (16, 270)
    eye, digest = open_tower("clip")
    assert clip.locked_spec == {"tower": "clip", "hash": digest}
    x = torch.rand(2, 1, 30, 20, requires_grad=True)
    torch.testing.assert_close(clip.image(x), clip.network.image(eye(x)))
    clip.image(x).sum().backward()  # whoever paints needs the way back to the pixels
    assert x.grad is not None and x.grad.abs().sum() > 0
    p = clip.probabilities(x.detach(), ["a red circle", "a blue star", "a green cross"])
    torch.testing.assert_close(p.sum(1), torch.ones(2))


def test_a_fixed_tower_may_stand_beside_one_that_trains(scenes: Path, tmp_path: Path) -> None:
    for towers in ({"text_tower": "transformer", "text_width": 16}, {"image_tower": "conv", "widths": "4,8"}):
        trained = run(tmp_path / "run", scenes, 2, **{**towers, "hidden": 8, "dropout": 0.1, "heads": 2})
        assert isinstance(ganvas.load(trained.path), ganvas.Clip)
        (tmp_path / "run").rename(tmp_path / f"run-{len(list(tmp_path.iterdir()))}")


def test_resuming_goes_on_to_the_same_bits(scenes: Path, tmp_path: Path) -> None:
    options = {"hidden": 8, "dropout": 0.2, "sample_every": 10, "checkpoint_every": 7}

    def outcome(path: Path) -> list[object]:
        newest = checkpoint.steps(path / "checkpoints")[0]
        names = ("clip.safetensors", f"{newest.relative_to(path)}/model.safetensors", "samples/step-000030.png")
        lines = [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]
        last = [{k: v for k, v in line.items() if "second" not in k} for line in lines if line["step"] == 30]
        return [(path / name).read_bytes() for name in names] + last

    run(tmp_path / "whole", scenes, 30, **options)
    settings = {**SETTINGS, **options}
    cut = ganvas.Run.create(
        "lit", str(scenes), out=tmp_path / "cut", steps=30, options=settings, device="cpu", precision="fp32"
    )
    ticks = cut.advance()
    for progress in ticks:
        if progress.step == 17:
            break
    ticks.close()
    ganvas.resume(tmp_path / "cut", progress=False)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_the_commands_work_with_it(
    scenes: Path, towers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "run", scenes, 3)
    picture = tmp_path / "run" / "samples" / "step-000003.png"
    assert main(["classify", str(picture), "--labels", "red circle,blue star", "--clip", str(tmp_path / "run")]) == 0
    assert "red circle" in capsys.readouterr().out
    assert main(["search", "a red circle", str(picture.parent), "--clip", str(tmp_path / "run")]) == 0
    assert str(picture) in capsys.readouterr().out

    (tmp_path / "run" / "clip.safetensors").rename(towers / "lit.safetensors")
    assert main(["classify", str(picture), "--labels", "red circle"]) == 0  # found where none is named
    capsys.readouterr()
    tower = towers / "clip.safetensors"
    tower.rename(towers / "elsewhere")
    assert main(["classify", str(picture), "--labels", "red circle"]) == 2
    assert "the weights of clip are not on this machine" in capsys.readouterr().err
    options = {"size": 16, "patch": 4, "width": 24, "layers": 1, "heads": 2, "mlp": 32, "pre_norm": True, "outputs": 16}
    write(tower, options, VisionTransformer(**options).state_dict())
    assert main(["classify", str(picture), "--labels", "red circle"]) == 2
    err = capsys.readouterr().err
    assert "this file was trained on the tower clip with weights of hash" in err and err.count("\n") == 1


# -- what is computed once ---------------------------------------------------------------------------------------------


def test_what_was_seen_is_kept_whatever_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path))
    seen: list[int] = []

    def see(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x.flatten(1).sum(1, keepdim=True)

    pixels = torch.randint(0, 256, (300, 1, 2, 2), dtype=torch.uint8)
    expected = (pixels.float() / 127.5 - 1).flatten(1).sum(1, keepdim=True)
    torch.testing.assert_close(drain(embedding(Cache("one"), see, pixels, Plan())), expected)
    assert sum(seen) == 300
    order = torch.randperm(300)
    torch.testing.assert_close(drain(embedding(Cache("one"), see, pixels[order], Plan())), expected[order])
    assert sum(seen) == 300
    drain(embedding(Cache("other"), see, pixels[:3], Plan()))
    assert sum(seen) == 303
    more = torch.cat([pixels[:5], 255 - pixels[:2]])
    assert drain(embedding(Cache("one"), see, more, Plan())).shape == (7, 1)
    assert sum(seen) == 305
    assert len({key(b"a"), key(b"b"), key(b"a")}) == 2


@pytest.mark.parametrize(
    "content",
    [
        {"keys": torch.zeros(2, 16, dtype=torch.uint8), "vectors": torch.ones(1, 3)},
        {"keys": torch.zeros(1, 16, dtype=torch.uint8)},
    ],
)
def test_a_file_that_holds_something_else_is_passed_over(
    content: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path))
    kept = key(b"a")
    drain(Cache("one").vectors([kept], lambda rows: torch.full((1, 2), 7.0)))
    save_file(content, tmp_path / "features" / "one" / "00.safetensors")
    cache = Cache("one")
    assert set(cache.known) == {kept}
    assert "00.safetensors is damaged" in caplog.text
    assert drain(cache.vectors([kept], lambda rows: torch.zeros(1, 2))).tolist() == [[7, 7]]


# -- the sentence encoder ----------------------------------------------------------------------------------------------


def test_bert_agrees_with_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=24, num_hidden_layers=2, num_attention_heads=12, intermediate_size=40,
        max_position_embeddings=30,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = transformers.BertModel(config).eval()
    for weight in theirs.parameters():
        nn.init.normal_(weight, std=0.2)
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(RequestError, match=r"vocab\.txt, which is next to model\.safetensors"):
        convert("minilm", [tmp_path / "model.safetensors"], tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    convert("minilm", [tmp_path / "model.safetensors", tmp_path / "vocab.txt"], tmp_path)
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    ours = open_sentences("minilm")[0]
    texts = ["a red circle", "an orange star above a small black heart and left of a cross", "unheard", ""]
    tokens = ours.tokenizer(texts)
    there = (tokens > 0).long()
    with torch.no_grad():
        words = theirs(input_ids=tokens, attention_mask=there).last_hidden_state
    mean = (words * there[..., None]).sum(1) / there.sum(1, keepdim=True)
    torch.testing.assert_close(ours(texts), F.normalize(mean, dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(ours(texts, batch=1), ours(texts), atol=1e-5, rtol=0)


@pytest.mark.assets
def test_the_published_sentence_encoder(published: Callable[[str], Path], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    vocabulary = published("vocab.txt")
    folder = vocabulary.parent
    convert("minilm", [folder / "model.safetensors", vocabulary], tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANVAS_WEIGHTS", str(tmp_path))
        ours = open_sentences("minilm")[0]
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    theirs = transformers.BertModel.from_pretrained(str(folder)).eval()
    texts = ["a photo of a cat", "Ünïcödé naïve café — 北京 ½ x²", "", "I'm can't it’s #1 😀", "x" * 120]
    given = tokenizer(texts, padding=True, return_tensors="pt")
    assert torch.equal(ours.tokenizer(texts), given.input_ids * given.attention_mask)
    there = given.attention_mask[..., None]
    with torch.no_grad():
        words = theirs(**given).last_hidden_state
    mean = (words * there).sum(1) / there.sum(1)
    torch.testing.assert_close(ours(texts), F.normalize(mean, dim=1), atol=1e-5, rtol=0)
    alike = ours(["a cat", "a kitten", "a bulldozer"])
    assert alike[0] @ alike[1] > 0.7 > alike[0] @ alike[2]
