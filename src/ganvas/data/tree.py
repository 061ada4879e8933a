"""Files by name, in a folder or in a .zip, which is never unpacked to the disk.

`files` are their names: relative, with forward slashes, and sorted. `read` gives the content, and `open` as much of it
as is read from what it returns; both raise OSError.
`stamp` gives 16 hexadecimal digits that change with every file.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from .decode import SUFFIXES
from .options import DataError, blaming

MAX_FILE = 512 * 2**20  # bytes of one file, unpacked
# What reading an entry may raise; RuntimeError if this Python lacks its compression method.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


def hidden(file: str) -> bool:
    """Whether a file or a folder that it is in is for the system alone."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(file).parts)


def stamp_of(entries: list[tuple[str | int, ...]]) -> str:
    """16 hexadecimal digits of what tells files apart."""
    return hashlib.sha256(repr(entries).encode()).hexdigest()[:16]


def _below(folder: Path, parents: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Every file below a folder except hidden ones; links to folders are followed, but not in circles."""
    here = folder.resolve()
    if here in parents:
        return
    with blaming(f"{folder} cannot be listed", "fix or remove it"):
        entries = list(os.scandir(folder))
    for entry in entries:
        if not hidden(entry.name):
            path = folder / entry.name
            yield from _below(path, parents | {here}) if os.path.isdir(entry) else (path,)


def holds(folder: Path, matches: Callable[[Path], bool]) -> bool:
    """Whether a folder has such files below it, and no pictures."""
    found = False
    for path in _below(folder) if folder.is_dir() else ():
        if path.suffix.lower() in SUFFIXES:
            return False
        found = found or matches(path)
    return found


class Folder:
    """The files below a folder; hidden ones are left out, links are followed."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path
        self.files = sorted(file.relative_to(path).as_posix() for file in _below(path))

    def read(self, file: str) -> bytes:
        with self.open(file) as content:
            return content.read()

    def open(self, file: str) -> BinaryIO:
        path = f"{self.place}/{file}"
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("not a file")  # reading a pipe would never end
        if found.st_size > MAX_FILE:
            raise OSError(f"more than {MAX_FILE} bytes")
        return open(path, "rb")

    def stamp(self) -> str:
        entries: list[tuple[str | int, ...]] = []
        for file in self.files:
            with suppress(OSError):  # such as a dangling link: reading it reports it
                found = (self._path / file).stat()
                # st_ctime also changes if a file of the same size and date replaces another, or becomes readable.
                entries.append((file, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
        return stamp_of(entries)


class Zip:
    """The files of a .zip. RequestError for an archive with unsafe entries: links, bombs, paths that leave it."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        damaged = (OSError, zipfile.BadZipFile)
        with blaming(f"{path} cannot be read as a .zip", "make or download it again", damaged):
            self._archive = zipfile.ZipFile(path)
        entries = [entry for entry in self._archive.infolist() if not entry.is_dir()]
        for entry in entries:
            if refusal := _refusal(entry):
                raise DataError(f"the entry {entry.filename!r} of {path} {refusal[0]}", refusal[1])
        # Windows separates names by backslashes. Of two entries with one name, the last is read.
        named = {PurePosixPath(entry.filename.replace("\\", "/")).as_posix(): entry for entry in entries}
        self._entries = {name: entry for name, entry in named.items() if not hidden(name)}
        self.files = sorted(self._entries)

    def read(self, file: str) -> bytes:
        try:
            return self._archive.read(self._entries[file])
        except DAMAGED as error:
            raise OSError(f"damaged in the archive: {error}") from error

    def open(self, file: str) -> BinaryIO:
        return BytesIO(self.read(file))  # going back in a compressed entry would unpack it again

    def stamp(self) -> str:
        return stamp_of([(entry.filename, entry.file_size, entry.CRC) for entry in self._archive.infolist()])


class Tree(Protocol):
    """Files by name: what Folder, Zip and Tar have in common."""

    place: str
    files: list[str]

    def read(self, file: str) -> bytes: ...
    def open(self, file: str) -> BinaryIO: ...
    def stamp(self) -> str: ...


def unsafe_name(name: str) -> bool:
    """Whether the name of an entry could lead out of the archive."""
    name = name.replace("\\", "/")
    return name.startswith("/") or name[1:2] == ":" or ".." in name.split("/")


def _refusal(entry: zipfile.ZipInfo) -> tuple[str, str] | None:
    """Why an entry is unsafe, and what to do."""
    if unsafe_name(entry.filename):
        return "leaves the archive", "make one with relative names"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link", "put the file itself there"
    if entry.flag_bits & 1:
        return "is encrypted", "make an archive without a password"
    if entry.file_size > MAX_FILE:
        return f"unpacks to {entry.file_size} bytes, more than {MAX_FILE}: a decompression bomb", "leave it out"
    return None
