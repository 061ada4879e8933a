"""Tokenisers: words to the numbers that a text tower reads. None needs more than Python's own library."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import RequestError
from . import keywords
from .bpe import CONTEXT, Bpe
from .text import Spec, Tokenizer
from .words import Words

TOKENIZERS: dict[str, Callable[..., Tokenizer]] = {"bpe": Bpe, "words": Words}

TEMPLATE = 6  # tokens that "a photo of a" and the like add to a label

__all__ = ["CONTEXT", "TEMPLATE", "TOKENIZERS", "Bpe", "Spec", "Tokenizer", "Words", "from_spec", "keywords"]


def from_spec(spec: Spec) -> Tokenizer:
    """The tokeniser of a spec. Raises RequestError for an unknown kind."""
    options = dict(spec)
    kind = options.pop("kind", None)
    if kind not in TOKENIZERS:
        raise RequestError(f"a tokeniser of kind {kind!r} is not known to this version", "update ganvas")
    return TOKENIZERS[kind](**options)
