"""What all tokenisers do before and after looking words up."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

QUOTES = str.maketrans("‘’‚‛“”„‟", "''''" + '"' * 4)  # typographic quotes, rare in captions


def cleaned(text: str) -> str:
    """Unescaped from HTML (twice, as in captions of the web), composed, straight quotes, single spaces, lower case.

    As OpenAI's, without ftfy's repair of wrongly decoded text.
    """
    text = unicodedata.normalize("NFC", html.unescape(html.unescape(text)))
    return " ".join(text.translate(QUOTES).split()).lower()


def padded(rows: Iterable[Sequence[int]], context: int, start: int, end: int) -> Tensor:
    """The tokens of each text between `start` and `end`, cut to `context`, zeros behind: (N, context) int64."""
    tokens = [[start, *row[: context - 2], end] for row in rows]
    found = torch.zeros(len(tokens), context, dtype=torch.int64)
    for i, row in enumerate(tokens):
        found[i, : len(row)] = torch.tensor(row)
    return found
