"""What all tokenisers do before and after looking words up."""

from __future__ import annotations

import html
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

Spec = dict[str, Any]

QUOTES = str.maketrans("‘’‚‛“”„‟", "''''" + '"' * 4)  # typographic quotes, rare in captions


def cleaned(text: str) -> str:
    """Unescaped from HTML (twice, as in captions of the web), composed, straight quotes, single spaces, lower case.

    As OpenAI's, without ftfy's repair of wrongly decoded text.
    """
    text = unicodedata.normalize("NFC", html.unescape(html.unescape(text)))
    return " ".join(text.translate(QUOTES).split()).lower()


def padded(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    """Rows of tokens with zeros behind each, (N, length) int64."""
    found = torch.zeros(len(rows), length, dtype=torch.int64)
    for i, row in enumerate(rows):
        found[i, : len(row)] = torch.tensor(row)
    return found


class Tokenizer(ABC):
    """Texts -> tokens (N, context) int64: start, the text cut to what fits, end, the largest number, and zeros."""

    def __init__(self, context: int, start: int) -> None:
        self.context, self.start, self.end = context, start, start + 1

    @property
    @abstractmethod
    def spec(self) -> Spec:
        """What rebuilds it, JSON-able, with its `kind`."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without start and end."""

    @property
    def size(self) -> int:
        """Of the vocabulary."""
        return self.end + 1

    def __call__(self, texts: Sequence[str]) -> Tensor:
        rows = [[self.start, *self.encode(text)[: self.context - 2], self.end] for text in texts]
        return padded(rows, self.context)
