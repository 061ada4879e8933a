"""The simplest tokeniser: a number for each word of the captions. Other words are unknown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .text import cleaned, padded

UNKNOWN = 1  # 0 is the padding
FIRST = 2  # of the words


class Words:
    """Texts -> tokens (N, context): start, the words' numbers, end, zeros; other words are UNKNOWN."""

    def __init__(self, context: int, words: Sequence[str]) -> None:
        self.context, self.words = context, tuple(words)
        self._number = {word: FIRST + i for i, word in enumerate(self.words)}
        self.start = FIRST + len(self.words)
        self.end = self.start + 1

    @staticmethod
    def of(texts: Sequence[str], context: int) -> Words:
        """The tokeniser of all words in `texts`."""
        return Words(context, sorted({word for text in texts for word in split(text)}))

    @property
    def size(self) -> int:
        """Of the vocabulary: padding, unknown, the words, start and end."""
        return self.end + 1

    @property
    def spec(self) -> dict[str, Any]:
        """What rebuilds it."""
        return {"kind": "words", "context": self.context, "words": list(self.words)}

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without start and end."""
        return [self._number.get(word, UNKNOWN) for word in split(text)]

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return padded(map(self.encode, texts), self.context, self.start, self.end)


def split(text: str) -> list[str]:
    """The words of a text and its other signs, lower case."""
    return re.findall(r"\w+|[^\w\s]", cleaned(text))
