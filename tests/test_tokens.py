"""Tokenisers: CLIP's own numbers, whatever they are held against; and the small vocabularies of small data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ganvas import tokens
from ganvas.errors import RequestError
from ganvas.tokens import Bpe, Words, bpe
from ganvas.tokens.text import cleaned
from ganvas.tokens.wordpiece import WordPiece, words

TEXTS = [
    "a photo of a cat",
    "Hello WORLD!",
    "it's what they'll've don't 'save 'saturday!'s !'s",
    "12 monkeys, 3.14 ½ x² Ⅷ ٣ 一二三",
    "naïve café — déjà vu… «quoted» ¿qué?",
    "北京 東京タワー привет мир שלום हिन्दी 👩‍👩‍👧 😀😀 🏳️‍🌈",
    "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
    "tabs\tand\nlines   and spaces",
    "snake_case kebab-case C++ a/b #1 @you 100% $5",
    "",
    "İstanbul straße ﬁn",
    "!!!???...",
]


# -- CLIP's --------------------------------------------------------------------------------------------------------


def test_reference_numbers() -> None:
    clip = Bpe()
    assert clip.size == 49408
    assert clip(["a photo of a cat"])[0, :8].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407, 0]
    assert clip.encode("hello world!") == [3306, 1002, 256]
    assert clip(["diagram"] * 3).shape == (3, 77)
    assert clip(["x " * 200])[0, -2:].tolist() == [343, 49407]  # cut, and still ended


def test_transformers_agree(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    ours = Bpe()
    (tmp_path / "vocab.json").write_text(json.dumps({**ours._number, "<|startoftext|>": 49406, "<|endoftext|>": 49407}))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in bpe.clip_merges())]
    (tmp_path / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    theirs = transformers.CLIPTokenizer.from_pretrained(str(tmp_path))
    for text in TEXTS:
        expected = theirs(text)["input_ids"]
        assert [ours.start, *ours.encode(text), ours.end] == expected, text


def test_text_is_cleaned_as_openai_does() -> None:
    assert cleaned("  A &amp;amp; B\n“it’s”\u00a0E\u0301t\u00e9 ") == 'a & b "it\'s" \u00e9t\u00e9'


def test_a_reduced_vocabulary_reads_its_captions_alike_and_any_other_text_in_pieces() -> None:
    whole = Bpe()
    small = whole.reduced(TEXTS, 20)
    assert small.context == 20
    assert small.size < 1200
    assert small.merges is not None
    to_whole = [*range(512), *(512 + i for i in small.merges), whole.start, whole.end]
    for text in TEXTS:
        assert [to_whole[token] for token in small.encode(text)] == whole.encode(text)
    assert small.reduced(TEXTS[:2], 9).spec == whole.reduced(TEXTS[:2], 9).spec
    strange = small.encode("giraffe")
    by_number = {number: token for token, number in small._number.items()}
    assert "".join(by_number[token] for token in strange) == "giraffe</w>"


@pytest.mark.parametrize("tokenizer", [Bpe().reduced(TEXTS, 9), Words.of(TEXTS, 9)], ids=["bpe", "words"])
def test_a_spec_rebuilds_the_tokeniser(tokenizer: Bpe | Words) -> None:
    again = tokens.from_spec(json.loads(json.dumps(tokenizer.spec)))
    assert torch.equal(again(TEXTS), tokenizer(TEXTS))
    assert again.size == tokenizer.size
    assert int(tokenizer(TEXTS).max()) == tokenizer.size - 1  # the end, which the text tower looks for


def test_an_unknown_tokeniser_is_refused() -> None:
    with pytest.raises(RequestError, match="a tokeniser of kind 'syllables' is not known to this version"):
        tokens.from_spec({"kind": "syllables"})


# -- words, word pieces ------------------------------------------------------------------------------------------------


def test_words_have_numbers_and_others_have_one() -> None:
    tokenizer = Words.of(["a red cat", "a dog."], 7)
    assert tokenizer.words == (".", "a", "cat", "dog", "red")
    assert tokenizer(["A red bird"]).tolist() == [[7, 3, 6, 1, 8, 0, 0]]


def test_word_pieces_are_the_longest_from_the_start() -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "##a", "cafe", "!", "北"]
    tokenizer = WordPiece(vocabulary, 6)
    assert tokenizer(["unaffable", "Café!北x"]).tolist() == [[2, 4, 5, 6, 3, 0], [2, 8, 9, 10, 1, 3]]
    assert tokenizer(["un un un un un un"]).shape == (1, 6)
    assert tokenizer.encode("un" + "a" * 200) == [1]
    assert words("Ünï-code\u0000 x") == ["uni", "-", "code", "x"]
