"""BERT's tokeniser, without capitals and accents: a word splits into its longest known pieces, from the start."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from torch import Tensor

from .text import padded

LONGEST = 100  # characters of a word; a longer one is unknown
CJK = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))


def spaced(character: str) -> str:
    """A character with spaces around it if it is a word of its own: signs and Chinese characters."""
    category, code = unicodedata.category(character), ord(character)
    if character.isspace():
        return " "
    if code in (0, 0xFFFD) or category[0] == "C":
        return ""
    ascii_sign = code < 128 and not character.isalnum()
    alone = ascii_sign or category[0] == "P" or any(low <= code <= high for low, high in CJK)
    return f" {character} " if alone else character


def words(text: str) -> list[str]:
    """The words and signs of a text, lower case and without accents."""
    plain = "".join(map(spaced, text)).lower()
    bare = "".join(c for c in unicodedata.normalize("NFD", plain) if unicodedata.category(c) != "Mn")
    return "".join(map(spaced, bare)).split()


class WordPiece:
    """Texts -> tokens (N, T): [CLS], the pieces cut to what fits, [SEP], zeros; T is that of the longest text."""

    def __init__(self, vocabulary: Sequence[str], context: int) -> None:
        self.context = context
        self._number = {piece: i for i, piece in enumerate(vocabulary)}
        self._unknown, self._start, self._end = (self._number[name] for name in ("[UNK]", "[CLS]", "[SEP]"))

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without [CLS] and [SEP]."""
        return [number for word in words(text) for number in self._pieces(word)]

    def __call__(self, texts: Sequence[str]) -> Tensor:
        rows = [[self._start, *self.encode(text)[: self.context - 2], self._end] for text in texts]
        return padded(rows, max(map(len, rows), default=0))

    def _pieces(self, word: str) -> list[int]:
        found: list[int] = []
        start = 0
        while start < len(word) <= LONGEST:
            prefix = "##" if start else ""
            end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in self._number), None)
            if end is None:
                return [self._unknown]
            found.append(self._number[prefix + word[start:end]])
            start = end
        return found or [self._unknown]
