"""A generator as ONNX: inputs `z` and, where it takes labels, `label`; output `items`."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

from ..errors import RequestError
from ..frozen import TrainedGenerator
from .program import facts, quiet, trace

NEEDED = ("onnx", "onnxscript", "onnxruntime")


def encode(generator: TrainedGenerator) -> bytes:
    """The content of an .onnx file, float32, with `facts` as JSON under the key `ganvas` of its metadata."""
    if missing := [module for module in NEEDED if not find_spec(module)]:
        hint = "pip install 'ganvas[onnx]', or write a .pt2"
        raise RequestError(f"ONNX needs {' and '.join(missing)}", hint, field="out")
    program = trace(generator)
    with quiet():
        graph = torch.onnx.export(
            program,
            dynamo=True,
            output_names=["items"],
            dynamic_shapes={str(name): {0: "batch"} for name in program.graph_signature.user_inputs},
            verbose=False,
        )
        assert graph is not None
        graph.model.metadata_props["ganvas"] = json.dumps(facts(generator))
        return graph.model_proto.SerializeToString()


def reopen(data: bytes, threads: int = 0) -> Callable[..., Tensor]:
    """An .onnx file in onnxruntime on the CPU, as a function: (z,) or (z, label) -> items. threads: 0 for all cores."""
    import onnxruntime  # pyright: ignore[reportMissingImports]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [found.name for found in session.get_inputs()]

    def draw(*given: Tensor) -> Tensor:
        (items,) = session.run(None, {name: x.numpy() for name, x in zip(names, given, strict=True)})
        return torch.from_numpy(items)

    return draw
