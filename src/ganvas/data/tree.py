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
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from .decode import SUFFIXES
from .options import DataError, blaming

HIDDEN = (".", "__MACOSX")  # how their names begin
READING = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe without an end waits else
MAX_FILE = 512 * 2**20  # bytes of one file, unpacked
# What reading an entry may raise; RuntimeError if this Python lacks its compression method.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


def hidden(file: str) -> bool:
    """Whether a file or a folder that it is in is for the system alone."""
    return any(part.startswith(HIDDEN) for part in PurePosixPath(file).parts)


def stamp_of(entries: Iterable[tuple[str | int, ...]]) -> str:
    """16 hexadecimal digits of what tells files apart."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(repr(entry).encode())
    return digest.hexdigest()[:16]


def _below(folder: str, inside: str = "", parents: frozenset[str] = frozenset()) -> Iterator[str]:
    """Every file below a folder except hidden ones, by its path inside; links to folders are followed, but not in
    circles.
    """
    here = os.path.realpath(folder)
    if here in parents:
        return
    with blaming(f"{folder} cannot be listed", "fix or remove it"):
        entries = list(os.scandir(folder))
    for entry in entries:
        if not entry.name.startswith(HIDDEN):
            if _is_folder(entry):
                yield from _below(entry.path, f"{inside}{entry.name}/", parents | {here})
            else:
                yield inside + entry.name


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as links in circles: reading it reports it
        return False


class Place(str):
    """The path of a file, where other texts would be reasons why there is none."""


def open_file(path: Path | str) -> BinaryIO:
    """A file of at most MAX_FILE bytes to read. OSError for others, and for what is no file."""
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError("not a file")  # reading a pipe would never end
    if found.st_size > MAX_FILE:
        raise OSError(f"more than {MAX_FILE} bytes")
    return open(path, "rb")


def read_file(path: str) -> bytes:
    """The content of a file of at most MAX_FILE bytes, in as few calls as can be. OSError as `open_file`."""
    descriptor = os.open(path, READING)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("not a file")
        if found.st_size > MAX_FILE:
            raise OSError(f"more than {MAX_FILE} bytes")
        return os.read(descriptor, found.st_size)
    finally:
        os.close(descriptor)


def holds(folder: Path, matches: Callable[[Path], bool]) -> bool:
    """Whether a folder has such files below it, and no pictures."""
    found = False
    for file in _below(str(folder)) if folder.is_dir() else ():
        path = folder / file
        if path.suffix.lower() in SUFFIXES:
            return False
        found = found or matches(path)
    return found


class Folder:
    """The files below a folder; hidden ones are left out, links are followed."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self.files = sorted(_below(self.place))

    def read(self, file: str) -> bytes:
        return read_file(self.path(file))

    def open(self, file: str) -> BinaryIO:
        return open_file(self.path(file))

    def path(self, file: str) -> Place:
        """Where another process finds it."""
        return Place(os.path.join(self.place, file))

    def stamp(self) -> str:
        return stamp_of(self._stats())

    def _stats(self) -> Iterator[tuple[str | int, ...]]:
        for file in self.files:
            with suppress(OSError):  # such as a dangling link: reading it reports it
                found = os.stat(f"{self.place}/{file}")
                # st_ctime also changes if a file of the same size and date replaces another, or becomes readable.
                yield file, found.st_size, found.st_mtime_ns, found.st_ctime_ns


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
