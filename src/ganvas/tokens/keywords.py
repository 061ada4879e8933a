"""Keywords: the words of captions that name what is to be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import RequestError, unknown
from .words import split

# Words that stand in most captions and name nothing.
EMPTY = frozenset(
    {"a", "an", "and", "as", "at", "be", "by", "for", "from", "in", "is", "it", "its", "of", "on", "or", "that", "the"}
    | {"are", "these", "this", "those", "to", "with", "without"}
)


def keywords_of(captions: Sequence[str], most: int, least: int = 2) -> tuple[str, ...]:
    """The `most` frequent keywords of captions, in alphabetical order, each in at least `least` of them."""
    counts = Counter(word for caption in captions for word in set(named(caption)))
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    return tuple(sorted(word for word, count in common if count >= least))


def named(text: str) -> list[str]:
    """The words of a text that can be keywords, in its order."""
    return [word for word in split(text) if word.isalnum() and word not in EMPTY]


def mark(captions: Sequence[str], keywords: Sequence[str]) -> Tensor:
    """(N, K) uint8: 1 for each of the keywords that a caption has."""
    number = {word: i for i, word in enumerate(keywords)}
    found = torch.zeros(len(captions), len(keywords), dtype=torch.uint8)
    for row, caption in zip(found, captions, strict=True):
        row[[number[word] for word in named(caption) if word in number]] = 1
    return found


def marked(prompt: str, keywords: Sequence[str]) -> Tensor:
    """(K,) uint8 of a prompt. Raises RequestError for a word that is no keyword, with the nearest that are."""
    words = named(prompt)
    for word in words:
        if word not in keywords:
            raise unknown("keyword", word, keywords)
    if not words:
        raise RequestError(f"the prompt {prompt!r} names nothing; write such as {' '.join(keywords[:2])!r}")
    return mark([prompt], keywords)[0]
