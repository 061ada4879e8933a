"""The simplest tokeniser: a number for each word of the captions. Other words are unknown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .text import Spec, Tokenizer, cleaned

UNKNOWN = 1  # 0 is the padding
FIRST = 2  # of the words


class Words(Tokenizer):
    """Texts -> tokens (N, context): start, the words' numbers, end, zeros; other words are UNKNOWN."""

    def __init__(self, context: int, words: Sequence[str]) -> None:
        super().__init__(context, FIRST + len(words))
        self.words = tuple(words)
        self._number = {word: FIRST + i for i, word in enumerate(self.words)}

    @staticmethod
    def of(texts: Sequence[str], context: int) -> Words:
        """The tokeniser of all words in `texts`."""
        return Words(context, sorted({word for text in texts for word in split(text)}))

    @property
    def spec(self) -> Spec:
        return {"kind": "words", "context": self.context, "words": list(self.words)}

    def encode(self, text: str) -> list[int]:
        return [self._number.get(word, UNKNOWN) for word in split(text)]


def split(text: str) -> list[str]:
    """The words of a text and its other signs, lower case."""
    return re.findall(r"\w+|[^\w\s]", cleaned(text))
