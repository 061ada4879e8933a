"""Batches of pictures decoded by another process: Pillow holds Python's lock too long for threads to use all cores.

The process is this module, started afresh: it shares no thread and no lock with its parent as a fork would, does not
run the user's script again as multiprocessing does, and imports no torch. It is asked in lines of JSON, each followed
by the bytes that it speaks of. A decoder that crashes on a damaged file takes only this process with it.
"""

from __future__ import annotations

import gc
import json
import math
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from ..errors import RequestError
from ..sizes import Size
from .decode import Form, Unreadable, decode
from .tree import Place, read_file

START = """
import sys, types
sys.path[:] = sys.argv[2:]
package = sys.modules["ganvas.data"] = types.ModuleType("ganvas.data")  # its own beginning would import torch
package.__path__ = [sys.argv[1]]
from ganvas.data.worker import serve
serve()
"""
READY = b"ready\n"
PIPE = 2**20  # bytes that wait between the processes, on Linux, so that neither waits for the other at each file

# Of each file: width, height, whether it is grey, transparent, truncated; or why it cannot be decoded.
Found = tuple[int, int, bool, bool, bool] | str
Contents = Iterable[
    tuple[str, bytes | Place | str]
]  # files and their bytes, where they are, or why they cannot be read


class Batch(NamedTuple):
    """Some pictures, decoded."""

    pixels: np.ndarray  # (n, C, H, W) uint8, of those that could be
    found: list[Found]  # of each file

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """One batch of several."""
        return cls(np.concatenate([part.pixels for part in parts]), [it for part in parts for it in part.found])

    @classmethod
    def failed(cls, reason: str, form: Form) -> Batch:
        """A batch of one file that cannot be decoded."""
        return cls(np.empty((0, form.channels, form.size.height, form.size.width), np.uint8), [reason])


class Died(Exception):
    """The process has ended."""


def decode_batch(contents: Contents, form: Form) -> Batch:
    """Decode in this process. RequestError as `decode`."""
    pixels, found = [], []
    for file, data in contents:
        try:
            if isinstance(data, Place):
                data = read_file(data)
            if isinstance(data, str):
                raise Unreadable(data)
            picture = decode(data, file, *form)
        except (Unreadable, OSError) as error:
            found.append(str(error))
        else:
            pixels.append(picture.pixels)
            found.append((int(picture.width), int(picture.height), *picture[3:]))
    rows = np.empty((len(pixels), form.channels, form.size.height, form.size.width), np.uint8)
    for row, picture in zip(rows, pixels, strict=True):
        row[:] = picture
    return Batch(rows, found)


class Worker:
    """A process that decodes batches. OSError or Died where it does not start."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", START, str(Path(__file__).parent), *sys.path]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, pipesize=PIPE)
        assert self._process.stdin and self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout
        if self._from.readline() != READY:
            self.close()
            raise Died

    def decode(self, contents: Contents, form: Form) -> Batch:
        """As `decode_batch`, in the process. Died if it ends meanwhile."""
        try:
            _send(self._to, form)
            some: list[tuple[str, str, str | int]] = []  # in one line, of which only the last is followed by bytes
            for file, data in contents:
                if isinstance(data, bytes):
                    _send(self._to, [*some, (file, "bytes", len(data))])
                    self._to.write(data)
                    some = []
                else:
                    some.append((file, "path" if isinstance(data, Place) else "failed", data))
            _send(self._to, some)
            _send(self._to, None)
            self._to.flush()
            line = self._from.readline()
            if not line.endswith(b"\n"):
                raise Died
            answer = json.loads(line)
            if "refused" in answer:
                raise RequestError(*answer["refused"][:2], field=answer["refused"][2])
            found = [it if isinstance(it, str) else tuple(it) for it in answer["found"]]
            shape = sum(not isinstance(it, str) for it in found), form.channels, form.size.height, form.size.width
            data = self._from.read(math.prod(shape))
            if len(data) != math.prod(shape):
                raise Died
            return Batch(np.frombuffer(data, np.uint8).reshape(shape), found)
        except (BrokenPipeError, ValueError) as error:  # ValueError: closed by another thread
            if isinstance(error, RequestError):
                raise
            raise Died from error

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._from.close()
        with suppress(OSError):  # what could not be sent any more
            self._to.close()


def serve() -> None:
    """Answer a parent on standard input and output until it closes them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    warnings.simplefilter("ignore")  # Pillow warns about files that it can decode
    gc.freeze()  # what is imported need not be looked through again
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    sink.write(READY)
    sink.flush()
    while line := source.readline():
        size, channels, levels, keep = json.loads(line)
        form = Form(Size(*size), channels, levels and tuple(levels), keep)
        try:
            batch = decode_batch(_received(source), form)
        except RequestError as error:
            for _ in _received(source):
                pass  # the rest of the batch
            _send(sink, {"refused": [error.problem, error.hint, error.field]})
        else:
            _send(sink, {"found": batch.found})
            sink.write(batch.pixels.data)
        sink.flush()


def _send(stream: IO[bytes], message: object) -> None:
    stream.write(json.dumps(message).encode() + b"\n")


def _received(stream: IO[bytes]) -> Contents:
    while (some := json.loads(stream.readline())) is not None:
        for file, kind, what in some:
            yield file, stream.read(what) if kind == "bytes" else Place(what) if kind == "path" else what
