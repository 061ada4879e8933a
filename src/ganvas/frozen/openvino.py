"""Generators in OpenVINO's intermediate representation: graphs as `.xml`, their constants next to them as `.bin`."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor

from .. import nets
from ..errors import RequestError
from .generator import TrainedGenerator

SYNTHESIS, MAPPING = "SynthesisNetwork.xml", "MappingNetwork.xml"
DRAWN = 10_000  # latents for the mean of W
Constants = list[tuple[str, Tensor]]


def load(folder: Path, device: str) -> TrainedGenerator:
    """MobileStyleGAN, 1024×1024 faces, from the folder with the graphs of its two networks.

    Raises RequestError where the folder holds another network, or is damaged.
    """
    try:
        weights = synthesis(read(folder / SYNTHESIS)) | mapping(read(folder / MAPPING))
        widths = [len(weights["first.convolutions.0.bias"])]
        while (name := f"narrow.{len(widths) - 1}.convolutions.1.bias") in weights:
            widths.append(len(weights[name]))
        side, channels = 4 << len(widths), len(weights["to_bands.bias"]) // 4
        layers = sum(name.startswith("mapping.") for name in weights) // 2
        network = nets.MobileStyleGANGenerator(
            (channels, side, side), len(weights["mapping.0.bias"]), tuple(widths), layers
        )
        network.load_state_dict(weights | {"mean": network.mean})
    except (KeyError, RuntimeError, IndexError) as error:
        raise RequestError(f"{folder} is not a graph that ganvas knows ({error})", "give MobileStyleGAN's") from error
    with torch.no_grad():
        z = torch.randn(DRAWN, network.latent, generator=torch.Generator().manual_seed(0))
        network.mean.copy_(network.map(z).mean(0))
    return TrainedGenerator(network.to(device).eval().requires_grad_(False), "mobilestylegan")


def synthesis(constants: Constants) -> dict[str, Tensor]:
    """The weights of the synthesis network under the names of `nets.MobileStyleGANGenerator`.

    The graph has names for some constants; the others are found by their place: after a depthwise kernel come the
    pointwise one and the noise. The factor of a style, if it has one, is multiplied into its kernel.
    """
    named = dict(constants)
    order = [name for name, _ in constants]
    layers = sorted({int(name.split(".")[2]) for name in order if name.startswith("m.layers.")})

    def behind(name: str, steps: int) -> Tensor:
        return constants[order.index(name) + steps][1]

    def factor(style: str) -> Tensor:
        value = behind(f"{style}.modulation.bias", 1)
        return value.flatten() if value.shape == (1, 1, 1, 1) else torch.ones(1)

    found = {"input": named["m.input.input"][0]}
    found["first.convolutions.0.weight"] = behind("m.input.input", 1) * factor("m.conv1.conv")
    found["first.noise"] = behind("m.input.input", 2)[0, 0]
    found["first.convolutions.0.bias"] = named["m.conv1.bias"].flatten()
    styles = ["m.conv1.conv"]
    for i in layers:
        for theirs, ours in (("conv1", f"narrow.{i}"), ("conv2", f"wide.{i}")):
            name = f"m.layers.{i}.{theirs}"
            depthwise = named[f"{name}.conv.weight_dw"][:, 0]  # (C, 1, 1, 3, 3) of grouped convolutions
            found[f"{ours}.convolutions.0.weight"] = depthwise * factor(f"{name}.conv")
            found[f"{ours}.convolutions.1.weight"] = behind(f"{name}.conv.weight_dw", 1)
            found[f"{ours}.noise"] = behind(f"{name}.conv.weight_dw", 2)[0, 0]
            found[f"{ours}.convolutions.1.bias"] = named[f"{name}.bias"].flatten()
        styles += [f"m.layers.{i}.up", f"m.layers.{i}.conv1.conv", f"m.layers.{i}.conv2.conv"]
    last = f"m.layers.{layers[-1]}.to_img"
    found["to_bands.weight"] = named[f"{last}.conv.weight"] * factor(f"{last}.conv")
    found["to_bands.bias"] = named[f"{last}.bias"].flatten()
    styles.append(f"{last}.conv")
    found["styles.weight"] = torch.cat([named[f"{style}.modulation.weight"] for style in styles])
    found["styles.bias"] = torch.cat([named[f"{style}.modulation.bias"].flatten() for style in styles])
    return found


def mapping(constants: Constants) -> dict[str, Tensor]:
    """The weights of the mapping network: its matrices and its vectors, one of each a layer."""
    matrices = [tensor for _, tensor in constants if tensor.ndim == 2 and tensor.numel() > 1]
    vectors = [tensor for _, tensor in constants if tensor.ndim == 1 and tensor.numel() > 1]
    pairs = enumerate(zip(matrices, vectors, strict=True))
    return {f"mapping.{i}.{kind}": t for i, pair in pairs for kind, t in zip(("weight", "bias"), pair, strict=True)}


def read(graph: Path) -> Constants:
    """The float32 constants of a graph by name, in its order; a RequestError where files are missing or damaged."""
    found: Constants = []
    try:
        data = graph.with_suffix(".bin").read_bytes()
        for layer in ElementTree.parse(graph).getroot().iterfind("layers/layer[@type='Const']"):
            data_of = layer.find("data")
            if data_of is None or data_of.attrib["element_type"] != "f32":
                continue
            shape = [int(side.text or "") for side in layer.iterfind("output/port/dim")]
            array = np.frombuffer(data, "<f4", math.prod(shape), int(data_of.attrib["offset"])).reshape(shape)
            found.append((layer.attrib["name"], torch.from_numpy(array.copy())))
    except (OSError, KeyError, ValueError, ElementTree.ParseError) as error:
        raise RequestError(f"{graph} is not a readable graph of OpenVINO ({error})", "copy it again") from error
    return found
