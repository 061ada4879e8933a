"""The files of .tar archives, compressed or not: read where they stand, never unpacked under their own names."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, NamedTuple

from ..errors import writing
from ..files import TEMPORARY, cache_directory
from ..progress import Progress, Steps
from .options import DataError, blaming
from .tree import MAX_FILE, hidden, stamp_of, unsafe_name

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
UNPACKERS: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ", lzma.open),
)  # by their first bytes
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, ValueError)
FEW, SHARE = 2**30, 100  # what unpacks to more bytes than FEW and than SHARE times its own is a bomb


class Member(NamedTuple):
    """Where a file stands."""

    archive: Path
    start: int
    size: int


class Tar:
    """The files of one archive, or of several, whose names then stand before those of their files.

    Made by `opening_tar`. RequestError for an archive with unsafe entries: links, paths that leave it, huge files.
    """

    def __init__(self, place: str, paths: list[Path], members: dict[str, Member], keep: list[IO[bytes]]) -> None:
        self.place = place
        self.paths = paths
        self.files = sorted(members)
        self.notes: list[str] = []  # archives that end too early
        self.last: list[str] = []  # the last file of each of these
        self._members = members
        self._keep = keep  # the unpacked archives, which exist as long as this does

    def read(self, file: str) -> bytes:
        member = self._members[file]
        with open(member.archive, "rb") as archive:  # an own one, as several threads read
            archive.seek(member.start)
            data = archive.read(member.size)
        if len(data) < member.size:
            raise OSError("cut off in the archive")
        return data

    def open(self, file: str) -> BinaryIO:
        return BytesIO(self.read(file))

    def stamp(self) -> str:
        return stamp_of_files(self.paths)


def stamp_of_files(paths: list[Path]) -> str:
    """16 hexadecimal digits that change with every one of these files; OSError where one cannot be looked at."""
    found = [(path, path.stat()) for path in paths]
    # st_ctime also changes if a file of the same size and date replaces another.
    return stamp_of([(path.name, it.st_size, it.st_mtime_ns, it.st_ctime_ns) for path, it in found])


def is_tar(path: Path) -> bool:
    """Whether the name is that of an archive."""
    return path.name.lower().endswith(SUFFIXES)


def opening_tar(paths: list[Path], place: str) -> Steps[Tar]:
    """The files of archives, after unpacking those that are compressed to files of the cache that vanish again."""
    members: dict[str, Member] = {}
    ends: list[str] = []
    top = os.path.commonpath([path.parent for path in paths])
    with ExitStack() as stack:  # closes what was unpacked, unless all goes well
        keep: list[IO[bytes]] = []
        for done, path in enumerate(paths):
            yield Progress("looking into archives", done, len(paths))
            with blaming(f"{path} cannot be read as a .tar", "make or download it again", DAMAGED):
                with open(path, "rb") as file:
                    first = file.read(8)
                unpack = next((unpack for start, unpack in UNPACKERS if first.startswith(start)), None)
                if unpack:
                    keep.append(stack.enter_context(_new_file()))
                    yield from _unpacking(path, unpack, keep[-1])
                found, last = _members(Path(keep[-1].name) if unpack else path, path)
            prefix = f"{path.relative_to(top).as_posix()}/" if len(paths) > 1 else ""
            members |= {prefix + name: member for name, member in found.items()}
            if last is not None:
                ends.append(prefix + last)
        stack.pop_all()
    tar = Tar(place, paths, members, keep)
    tar.last += ends
    tar.notes += [f"the archive is damaged after {last!r}: download it again to read the rest" for last in ends]
    return tar


def _new_file() -> IO[bytes]:
    """A file of the cache that vanishes when it is closed."""
    with writing(cache_directory()):
        cache_directory().mkdir(parents=True, exist_ok=True)
        return tempfile.NamedTemporaryFile(dir=cache_directory(), prefix=TEMPORARY)


def _unpacking(path: Path, unpack: Callable[..., Any], target: IO[bytes]) -> Steps[None]:
    """Write an archive without its compression."""
    size, done = path.stat().st_size, 0
    with unpack(path, "rb") as source:
        while data := source.read(2**22):
            done += len(data)
            if done > max(FEW, SHARE * size):
                problem = f"{path} unpacks to more than {SHARE} times its size: a decompression bomb"
                raise DataError(problem, "unpack it yourself, and give the folder")
            with writing(cache_directory()):
                target.write(data)
            yield Progress("unpacking", done, None, path.name)
    with writing(cache_directory()):
        target.flush()


def _members(plain: Path, path: Path) -> tuple[dict[str, Member], str | None]:
    """The files of an archive that is not compressed; and, if it is damaged, the last one before the damage."""
    found: dict[str, Member] = {}
    last = ""
    with tarfile.open(plain, "r:") as archive:
        for entry in _entries(archive):
            name = entry.name.replace("\\", "/")
            if entry.isdir():
                continue
            if refusal := _refusal(entry):
                raise DataError(f"the entry {entry.name!r} of {path} {refusal[0]}", refusal[1])
            last = PurePosixPath(name).as_posix()
            if not hidden(last):
                found[last] = Member(plain, entry.offset_data, entry.size)
        end = archive.offset
    return found, last if _goes_on(plain, end) else None


def _entries(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    with suppress(tarfile.TarError):  # of a damaged entry that is not the first: `_goes_on` finds it
        while entry := archive.next():
            yield entry
            archive.members.clear()  # pyright: ignore - which would grow with the archive


def _goes_on(plain: Path, end: int) -> bool:
    """Whether an archive has more than zeros after its last entry: tarfile stops at damage as it does at the end."""
    with open(plain, "rb") as file:
        file.seek(end)
        while data := file.read(2**20):
            if data.strip(b"\0"):
                return True
        return file.tell() < end


def _refusal(entry: tarfile.TarInfo) -> tuple[str, str] | None:
    """Why an entry is unsafe, and what to do."""
    if unsafe_name(entry.name):
        return "leaves the archive", "make one with relative names"
    if not entry.isreg() or entry.issparse():
        return "is not a plain file", "put the file itself there"
    if entry.size > MAX_FILE:
        return f"has {entry.size} bytes, more than {MAX_FILE}", "leave it out"
    return None
