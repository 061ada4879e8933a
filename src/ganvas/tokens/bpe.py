"""CLIP's byte-pair encoding (Sennrich et al. 2016; Radford et al. 2021), with CLIP's own merges.

A word is a sequence of bytes, the last marked as its end. The pair of neighbours that is first in the list of merges
becomes one token, again and again, until no pair is in the list. So no word is unknown.

`clip-merges.txt.gz` holds the 48,894 merges of OpenAI's CLIP (github.com/openai/CLIP, MIT, see LICENSE-CLIP).
"""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from .text import Spec, Tokenizer, cleaned

MERGES = Path(__file__).with_name("clip-merges.txt.gz")
END = "</w>"  # marks the last token of a word
CONTEXT = 77  # of OpenAI's text towers
CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
PRINTED = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that stand for themselves in the merges


@lru_cache(maxsize=1)
def clip_merges() -> tuple[tuple[str, str], ...]:
    """OpenAI's merges, in their order."""
    pairs = (line.split(" ") for line in gzip.decompress(MERGES.read_bytes()).decode().split("\n"))
    return tuple((left, right) for left, right in pairs)


@lru_cache(maxsize=1)
def byte_units() -> dict[int, str]:
    """A printable character for each byte, in the order of CLIP's vocabulary: those of PRINTED, then the others."""
    others = (byte for byte in range(256) if byte not in PRINTED)
    return {byte: chr(byte) for byte in PRINTED} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def kind(character: str) -> str:
    """'space', 'letter', 'number', or 'other', as in CLIP's regular expression: by Unicode's category."""
    if character.isspace():
        return "space"
    return {"L": "letter", "N": "number"}.get(unicodedata.category(character)[0], "other")


def pieces(text: str) -> Iterator[str]:
    """The words of a cleaned text: English contractions, runs of letters, single digits, runs of anything else."""
    kinds = [kind(character) for character in text]
    i = 0
    while i < len(text):
        contraction = next((c for c in CONTRACTIONS if text.startswith(c, i)), "")
        end = i + (len(contraction) or 1)
        if not contraction and kinds[i] in ("letter", "other"):
            while end < len(text) and kinds[end] == kinds[i]:
                end += 1
        if kinds[i] != "space":
            yield text[i:end]
        i = end


class Bpe(Tokenizer):
    """Texts -> tokens (N, context), as OpenAI's: start, the text cut to what fits, end, zeros.

    merges: the numbers of CLIP's merges to keep; None for all 48,894. A vocabulary `reduced` to the merges in some
        captions encodes those captions the same, and other text in smaller pieces.
    """

    def __init__(self, context: int = CONTEXT, merges: Sequence[int] | None = None) -> None:
        self.merges = None if merges is None else tuple(merges)
        all_pairs = clip_merges()
        pairs = all_pairs if merges is None else [all_pairs[i] for i in merges]
        self._rank = {pair: i for i, pair in enumerate(pairs)}
        units = byte_units().values()
        tokens = [*units, *(unit + END for unit in units), *("".join(pair) for pair in pairs)]
        self._number = {token: i for i, token in enumerate(tokens)}
        super().__init__(context, len(tokens))
        self._cache: dict[str, list[str]] = {}
        self._used: set[int] = set()  # the ranks of the merges used so far

    @property
    def spec(self) -> Spec:
        return {"kind": "bpe", "context": self.context, "merges": None if self.merges is None else list(self.merges)}

    def encode(self, text: str) -> list[int]:
        return [self._number[token] for piece in pieces(cleaned(text)) for token in self._split(piece)]

    def reduced(self, texts: Sequence[str], context: int) -> Bpe:
        """The tokeniser with only the merges that `texts` use."""
        fresh = Bpe(context, self.merges)
        for text in texts:
            fresh.encode(text)
        kept = sorted(fresh._used)
        return Bpe(context, kept if self.merges is None else [self.merges[i] for i in kept])

    def _split(self, piece: str) -> list[str]:
        """The tokens of one word."""
        if piece not in self._cache:
            units = [byte_units()[byte] for byte in piece.encode(errors="replace")]
            self._cache[piece] = self._merged([*units[:-1], units[-1] + END])
        return self._cache[piece]

    def _merged(self, word: list[str]) -> list[str]:
        while len(word) > 1:
            first = min(pairwise(word), key=lambda pair: self._rank.get(pair, len(self._rank)))
            if first not in self._rank:
                break
            self._used.add(self._rank[first])
            merged: list[str] = []
            for token in word:
                if merged and (merged[-1], token) == first:
                    merged[-1] += token
                else:
                    merged.append(token)
            word = merged
        return word
