"""Files by name, whether they lie in a folder or in a .zip. An archive is never unpacked to the disk."""

from __future__ import annotations

import hashlib
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from ..errors import RequestError

MAX_FILE = 512 * 2**20  # bytes of one unpacked file of an archive
# What reading an entry may raise; RuntimeError where this Python lacks its way of compression.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


class Tree(Protocol):
    """A tree of files. Names are relative, with forward slashes, and sorted."""

    place: str
    files: list[str]

    def read(self, file: str) -> bytes:
        """The content; OSError where it cannot be had."""
        ...

    def stamp(self) -> str:
        """16 hexadecimal digits that change whenever a file does."""
        ...


def _hidden(file: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(file).parts)


def _stamp(entries: list[tuple[str | int, ...]]) -> str:
    return hashlib.sha256(repr(entries).encode()).hexdigest()[:16]


def _below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Every file below a folder but the hidden; links to folders are followed, but none to one that it lies in."""
    here = folder.resolve()
    if here in above:
        return
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise RequestError(f"{folder} cannot be listed: {error.strerror or error}; mend or remove it") from error
    for entry in entries:
        if not _hidden(entry.name):
            path = folder / entry.name
            yield from _below(path, above | {here}) if os.path.isdir(entry) else (path,)


class Folder:
    """The files below a folder; hidden ones are left out, links are followed."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path
        self.files = sorted(file.relative_to(path).as_posix() for file in _below(path))

    def read(self, file: str) -> bytes:
        path = self._path / file
        if path.exists() and not path.is_file():
            raise OSError("not a file")  # a pipe would be waited for without end
        return path.read_bytes()

    def stamp(self) -> str:
        entries: list[tuple[str | int, ...]] = []
        for file in self.files:
            path = self._path / file
            if path.is_file():  # a dangling link has no size; reading it reports it
                found = path.stat()
                # The last changes too where a file of the same size and date replaces another, or may be read at last.
                entries.append((file, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
        return _stamp(entries)


class Zip:
    """The files of a .zip, refused as a whole (RequestError) where its entries are not what pictures come as."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise RequestError(f"{path} cannot be read as a .zip: {error}") from error
        entries = [entry for entry in self._archive.infolist() if not entry.is_dir()]
        for entry in entries:
            reason = _refusal(entry)
            if reason:
                raise RequestError(f"{path} is refused: its entry {entry.filename!r} {reason}")
        # Windows parts names by backslashes. Of two entries with one name the last is what is read and unpacked.
        named = {PurePosixPath(entry.filename.replace("\\", "/")).as_posix(): entry for entry in entries}
        self._entries = {name: entry for name, entry in named.items() if not _hidden(name)}
        self.files = sorted(self._entries)

    def read(self, file: str) -> bytes:
        try:
            return self._archive.read(self._entries[file])
        except DAMAGED as error:
            raise OSError(f"damaged in the archive: {error}") from error

    def stamp(self) -> str:
        return _stamp([(entry.filename, entry.file_size, entry.CRC) for entry in self._archive.infolist()])


def _refusal(entry: zipfile.ZipInfo) -> str | None:
    """Why an entry has no place in an archive of pictures."""
    name = entry.filename.replace("\\", "/")
    if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/"):
        return "leaves the archive; make one whose names are relative"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link; put the file itself there"
    if entry.flag_bits & 1:
        return "is encrypted; make an archive without a password"
    if entry.file_size > MAX_FILE:
        return f"unpacks to {entry.file_size} bytes, more than {MAX_FILE}: a decompression bomb; leave it out"
    return None
