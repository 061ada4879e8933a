"""Pictures that are in no files, as if they were: each is written once, without loss, into one unnamed file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import IO, Any, BinaryIO

from PIL import Image, ImageOps

PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # modes that this format keeps
TIFF = ("I", "F", "CMYK", "YCbCr", "LAB")


class Spool:
    """The pictures that were added, by their names; satisfies `pool.Source`. Paths are read where they lie."""

    def __init__(self, place: str, spool: IO[bytes]) -> None:
        """`spool` is an empty file, which stays open."""
        self.place, self.files = place, list[str]()
        self._spool, self._lock = spool, Lock()
        self._places: dict[str, Path | tuple[int, int]] = {}  # a path, or (offset, length)

    def add(self, picture: Any) -> None:
        """Add a path, a PIL image, or {"bytes": …, "path": …} as undecoded tables hold it."""
        name = f"item {len(self.files)}"
        if isinstance(picture, Mapping):
            picture = picture.get("bytes") or picture["path"]
        if isinstance(picture, str | Path):
            name += f" ({picture})"
            self._places[name] = Path(picture)
        else:
            data = picture if isinstance(picture, bytes) else encoded(picture)
            self._places[name] = (self._spool.tell(), len(data))
            self._spool.write(data)
        self.files.append(name)

    def read(self, file: str) -> bytes:
        place = self._places[file]
        if isinstance(place, Path):
            try:
                return place.read_bytes()
            except ValueError as error:  # a NUL byte
                raise OSError(str(error)) from error
        with self._lock:
            self._spool.seek(place[0])
            return self._spool.read(place[1])

    def open(self, file: str) -> BinaryIO:
        return io.BytesIO(self.read(file))


def encoded(picture: Image.Image) -> bytes:
    """A file of the picture, upright, with the same pixels."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode not in (*PNG, *TIFF):
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    buffer = io.BytesIO()
    if picture.mode in TIFF:
        picture.save(buffer, "TIFF")
    else:
        picture.save(buffer, "PNG", compress_level=1)  # quick
    return buffer.getvalue()
