"""What results show in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterable, Sequence, Sized
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST = 400  # pixels: smaller pictures are enlarged to about this


class Shown(ABC):
    """A result that a notebook shows as a picture, and a terminal in a few words."""

    @abstractmethod
    def picture(self) -> Image:
        """What it looks like."""

    def __repr__(self) -> str:
        count = f" of {len(self):,}" if isinstance(self, Sized) else ""
        return f"<{type(self).__name__}{count}>"

    def _repr_png_(self) -> bytes:
        return png(self.picture())


def png(picture: Image) -> bytes:
    """A picture as large as a notebook should show it."""
    from . import media

    return media.encode_png(media.enlarged(picture, LEAST))


def clip_html(kind: str, data: bytes) -> str:
    """A picture or a clip for a notebook's cell; kind: its media type."""
    url = f"data:{kind};base64,{b64encode(data).decode()}"
    if kind.startswith("image/"):
        return f'<img src="{url}">'
    return f'<video src="{url}" autoplay loop muted controls></video>'


def picture_html(picture: Image) -> str:
    """A picture for a notebook's cell."""
    return clip_html("image/png", png(picture))


def table_html(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table for a notebook's cell."""
    style = ' style="text-align: left"'  # notebooks would put words to the right
    lines = [f"<tr>{''.join(f'<th{style}>{escape(name)}</th>' for name in header)}</tr>"] if any(header) else []
    lines += [f"<tr>{''.join(f'<td{style}>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"


def text_html(lines: Iterable[str]) -> str:
    """Paragraphs for a notebook's cell."""
    return "".join(f"<p>{escape(line)}</p>" for line in lines)
