"""What the pages share: templates, pictures and clips within the file, so that it opens anywhere without a network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from .. import files, film, media
from .chart import short

ENVIRONMENT = Environment(
    loader=PackageLoader("ganvas.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters["short"] = short


class Picture(NamedTuple):
    """A picture or clip within the page."""

    url: str  # data:...
    width: int
    height: int
    alt: str


def picture(image: Image.Image, alt: str, longest: int) -> Picture:
    """An image as WebP, its longer side at most `longest` pixels."""
    image = media.fitted(image, longest)
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=88)
    return Picture(url("image/webp", buffer.getvalue()), *image.size, alt)


def clip(frames: Sequence[Image.Image], alt: str, longest: int, fps: float) -> tuple[str, Picture]:
    """Frames in motion: (media type, picture)."""
    small = [media.fitted(frame, longest) for frame in frames]
    kind, data = film.encode_clip(small, fps)
    return kind, Picture(url(kind, data), *small[0].size, alt)


def url(kind: str, data: bytes) -> str:
    """Bytes as a link that holds them."""
    return f"data:{kind};base64,{b64encode(data).decode()}"


def write(path: Path, template: str, content: dict[str, Any]) -> Path:
    """Render a template and write it whole. Raises OSError where that fails; an older page then survives."""
    files.write(path, ENVIRONMENT.get_template(template).render(content).encode(errors="replace"))
    return path
