"""Keywords: the words of captions that name something visible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import RequestError, unknown
from .words import split

# Words of most captions that name nothing.
STOP_WORDS = frozenset(
    {"a", "an", "and", "as", "at", "be", "by", "for", "from", "in", "is", "it", "its", "of", "on", "or", "that", "the"}
    | {"are", "these", "this", "those", "to", "with", "without"}
)


def keywords_of(captions: Sequence[str], most: int, least: int = 2) -> tuple[str, ...]:
    """The `most` frequent keywords of captions, in alphabetical order, each in at least `least` of them."""
    counts = Counter(word for caption in captions for word in set(content_words(caption)))
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    return tuple(sorted(word for word, count in common if count >= least))


def content_words(text: str) -> list[str]:
    """The words of a text that can be keywords, in order."""
    return [word for word in split(text) if word.isalnum() and word not in STOP_WORDS]


def mark(captions: Sequence[str], keywords: Sequence[str]) -> Tensor:
    """(N, K) uint8: 1 for each of the keywords that a caption has."""
    number = {word: i for i, word in enumerate(keywords)}
    found = torch.zeros(len(captions), len(keywords), dtype=torch.uint8)
    for row, caption in zip(found, captions, strict=True):
        row[[number[word] for word in content_words(caption) if word in number]] = 1
    return found


def marked(prompt: str, keywords: Sequence[str]) -> Tensor:
    """(K,) uint8 of a prompt. Raises RequestError for an unknown word, with similar keywords."""
    words = content_words(prompt)
    for word in words:
        if word not in keywords:
            raise unknown("keyword", word, keywords, field="prompt")
    if not words:
        example = " ".join(keywords[:2])
        raise RequestError(f"{prompt!r} names nothing", f"write, for example, {example!r}", field="prompt")
    return mark([prompt], keywords)[0]
