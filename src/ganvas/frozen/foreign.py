"""Weights in published formats, as tensors by name."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from .. import unpickle
from ..errors import RequestError, unknown

Tensors = dict[str, Tensor]
VOCABULARY = "vocab.txt"  # the name of the bytes of a list of words


class Unreadable(RequestError):
    """The content of a file does not match its name, or cannot be read without running code."""


def read(path: Path) -> Tensors:
    """The floating-point tensors of a file, float32, in the order in which it holds them.

    A state dict of PyTorch or an archive of TorchScript (.pt, .pth, .bin), .safetensors, the initialisers of an .onnx,
    or a pickle of flax's arrays (.ckpt); for a list of words (.txt) its bytes, as VOCABULARY. Raises RequestError for
    any other file, and for one that cannot be read.
    """
    if path.suffix.lower() not in READERS:
        raise unknown("kind of weights file", path.suffix, READERS)
    try:
        found = READERS[path.suffix.lower()](path)
    except RequestError:
        raise
    except Exception as error:  # damaged files raise whatever their readers meet first
        raise Unreadable(f"{path} cannot be read as weights ({error})", "copy it again") from error
    return {name: tensor.float() for name, tensor in found.items() if tensor.is_floating_point() or name == VOCABULARY}


def _torch(path: Path) -> Tensors:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                with warnings.catch_warnings():  # TorchScript is deprecated, but these weights were published in it
                    warnings.simplefilter("ignore", DeprecationWarning)
                    return torch.jit.load(path, map_location="cpu").state_dict()
    return torch.load(path, map_location="cpu", weights_only=True)


def _flax(path: Path) -> Tensors:
    def flat(tree: dict[str, Any], prefix: str = "") -> Tensors:
        found: Tensors = {}
        for name, value in tree.items():
            inner = isinstance(value, dict)
            found |= flat(value, f"{prefix}{name}.") if inner else {prefix + name: torch.tensor(np.asarray(value))}
        return found

    return flat(unpickle.arrays(path.read_bytes()))


def _onnx(path: Path) -> Tensors:
    """The initialisers; those of matrix products get back the names that their modules had before the export.

    An exporter transposes the weight of a linear layer and calls it onnx::MatMul_1541, but the node that multiplies by
    it keeps the module's name: /mlp/fc1/MatMul. It becomes mlp.fc1.weight again, transposed back. Dynamic quantisation,
    one scale and zero point a column, is undone.
    """
    try:
        import onnx  # pyright: ignore[reportMissingImports]
        from onnx.numpy_helper import to_array  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise RequestError(f"reading {path} needs the onnx package", "pip install 'ganvas[onnx]'") from error
    graph = onnx.load(str(path)).graph
    found = {initial.name: torch.from_numpy(np.array(to_array(initial))) for initial in graph.initializer}
    for node in graph.node:
        if node.op_type not in ("MatMul", "MatMulInteger") or node.input[1] not in found:
            continue
        matrix = found.pop(node.input[1])
        if node.op_type == "MatMulInteger":
            kind = node.input[1].removesuffix("_quantized")
            zero, scale = found.pop(node.input[3]), found.pop(f"{kind}_scale")
            matrix = (matrix.float() - zero.float()) * scale
        module = node.name.strip("/").rpartition("/")[0].replace("/", ".")
        found[f"{module}.weight"] = matrix.T
    return found


READERS: dict[str, Callable[[Path], Tensors]] = {
    ".pt": _torch,
    ".pth": _torch,
    ".bin": _torch,
    ".safetensors": lambda path: load_file(path),
    ".onnx": _onnx,
    ".ckpt": _flax,
    ".txt": lambda path: {VOCABULARY: torch.tensor(list(path.read_bytes()))},
}
