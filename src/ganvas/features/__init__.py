"""Feature spaces by name: what the metrics and the monitor look at items with."""

from __future__ import annotations

from collections.abc import Callable

from .extractor import Extractor, embed, embed_batches

# The networks of the literature: name -> the extractor on a device ("cpu", "cuda", "mps").
FEATURES: dict[str, Callable[[str], Extractor]] = {}

__all__ = ["FEATURES", "Extractor", "embed", "embed_batches"]
