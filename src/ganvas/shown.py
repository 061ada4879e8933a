"""What results show in a notebook."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


class Shown:
    """A result that a notebook shows as a picture."""

    def picture(self) -> Image:
        """What it looks like."""
        raise NotImplementedError

    def _repr_png_(self) -> bytes:
        from .media import encode_png

        return encode_png(self.picture())


def clip_html(kind: str, data: bytes) -> str:
    """A clip for a notebook's cell; kind: its media type."""
    url = f"data:{kind};base64,{b64encode(data).decode()}"
    if kind.startswith("image/"):
        return f'<img src="{url}">'
    return f'<video src="{url}" autoplay loop muted controls></video>'


def table_html(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table for a notebook's cell."""
    lines = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in header)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"
