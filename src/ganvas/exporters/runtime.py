"""ONNX Runtime for browsers: downloaded once from the npm registry, checked, and kept in the cache.

Pages run it on one thread: more threads need headers that neither a file nor a simple web server sends.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import RequestError
from ..files import cache_directory, new_folder

VERSION = "1.30.0"
ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/{ARCHIVE}"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"  # of the archive's folder package/dist


def open_runtime() -> tuple[bytes, bytes]:
    """The script and the WebAssembly of onnxruntime-web, MIT licence; downloaded where the cache lacks them.

    Without a network, raises RequestError, which says where to put them by hand.
    """
    folder = cache_directory() / f"onnxruntime-web-{VERSION}"
    if not all((folder / name).is_file() for name in (SCRIPT, WASM)):
        try:
            _download(folder)
        except (OSError, ValueError, KeyError, tarfile.TarError) as error:  # a wrong checksum is a ValueError
            raise RequestError(
                f"a page needs onnxruntime-web {VERSION}, which cannot be downloaded from {URL} ({error})",
                f"download it elsewhere and put {SCRIPT} and {WASM} of its package/dist into {folder}",
            ) from error
    return (folder / SCRIPT).read_bytes(), (folder / WASM).read_bytes()


def _download(folder: Path) -> None:
    """Download the archive, check it, and keep the two files that a page needs."""
    import pooch  # slow to import, and rarely needed

    pooch.get_logger().setLevel("WARNING")
    with TemporaryDirectory() as passing, new_folder(folder) as kept:
        archive = pooch.retrieve(URL, f"sha256:{SHA256}", fname=ARCHIVE, path=passing)
        with tarfile.open(archive) as content:
            for name in (SCRIPT, WASM):
                member = content.extractfile(f"package/dist/{name}")
                assert member is not None, "a file of the archive is not a folder"
                (kept / name).write_bytes(member.read())
