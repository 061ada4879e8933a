"""The text of a file: UTF-8, or UTF-16 with its mark."""

from __future__ import annotations

import codecs

from ..options import DataError, blaming
from ..tree import Tree

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(tree: Tree, file: str) -> str:
    """The text with line feeds alone. DataError for other encodings, whose letters would be lost."""
    place = f"{tree.place}/{file}"
    with blaming(f"{place} cannot be read", "fix or remove it"):
        data = tree.read(file)
    encoding = "utf-16" if data.startswith(UTF_16) else "utf-8-sig"
    with blaming(f"{place} is not UTF-8", "save it as UTF-8", UnicodeDecodeError):
        text = data.decode(encoding)
    if "\0" in text:
        raise DataError(f"{place} is not UTF-8: it holds zero bytes", "save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")
