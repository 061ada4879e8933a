"""The Inception network that FID, KID and the Inception Score are defined with."""

from __future__ import annotations

import torch
from torch import Tensor

from ..alpha import flat
from ..frozen.foreign import Tensors
from ..frozen.published import Options, open_network
from ..nets.inception import CLASSES, FEATURES, SIZE, Inception
from ..nets.resize import resize
from .extractor import Extractor

WIDEST = 64 * 147 * 147  # numbers of its third layer
EPSILON = 1e-3  # of its batch norms
RESIZE = (
    "8-bit values, RGB, resized to 299×299 without antialiasing as TensorFlow 1 does (bilinear, between corners), "
    "then (x − 128)/128"
)

# The convolutions in torchvision's names, in the order of our network.
_BLOCKS = {
    "A": "branch1x1 branch5x5_1 branch5x5_2 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3 branch_pool",
    "B": "branch3x3 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3",
    "C": "branch1x1 branch7x7_1 branch7x7_2 branch7x7_3 branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 "
    "branch7x7dbl_5 branch_pool",
    "D": "branch3x3_1 branch3x3_2 branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4",
    "E": "branch1x1 branch3x3_1 branch3x3_2a branch3x3_2b branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a "
    "branch3x3dbl_3b branch_pool",
}
_MIXED = {"5b": "A", "5c": "A", "5d": "A", "6a": "B", "6b": "C", "6c": "C", "6d": "C", "6e": "C", "7a": "D"}
_MIXED |= {"7b": "E", "7c": "E"}
TORCHVISION = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
    *(f"Mixed_{name}.{conv}" for name, kind in _MIXED.items() for conv in _BLOCKS[kind].split()),
)


def convert(tensors: Tensors) -> tuple[Options, Tensors]:
    """The options and weights of `Inception` from a published file's tensors.

    Either a state dict in torchvision's layout, as pytorch-fid publishes, with the class weights; or TorchScript in the
    layout of StyleGAN's, whose modules are in the order of ours and whose batch norms have no gain.
    """
    scripted = [name.removesuffix(".beta") for name in tensors if name.endswith(".beta")]
    network = Inception(classes=0)
    names = [name for name, part in network.named_modules() if isinstance(part, torch.nn.Conv2d)]
    found: Tensors = {}
    for ours, theirs in zip(names, scripted or TORCHVISION, strict=True):
        if scripted:
            kernel, shift, mean, variance = (tensors[f"{theirs}.{part}"] for part in ("weight", "beta", "mean", "var"))
            gain = torch.ones_like(shift)
        else:
            kernel, norm = tensors[f"{theirs}.conv.weight"], f"{theirs}.bn"
            gain, shift = tensors[f"{norm}.weight"], tensors[f"{norm}.bias"]
            mean, variance = tensors[f"{norm}.running_mean"], tensors[f"{norm}.running_var"]
        found[f"{ours}.weight"], found[f"{ours}.bias"] = folded(kernel, gain, shift, mean, variance)
    if "fc.weight" in tensors:
        return {"classes": CLASSES}, found | {"head.weight": tensors["fc.weight"]}
    return {"classes": 0}, found


def folded(kernel: Tensor, gain: Tensor, shift: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The weight and bias of a convolution that does what one without bias and a batch norm behind it do."""
    scale = gain.double() / (variance.double() + EPSILON).sqrt()
    bias = shift.double() - mean.double() * scale
    return (kernel.double() * scale[:, None, None, None]).float(), bias.float()


def prepare(x: Tensor) -> Tensor:
    """Images (N, C, H, W) in [-1, 1], C 1, 3 or 4 -> what the network sees, (N, 3, 299, 299)."""
    x = (flat(x).expand(-1, 3, -1, -1) * 127.5 + 127.5).round().clamp(0, 255)
    return (resize(x, SIZE, "tensorflow") - 128) / 128


def extractor(device: str = "cpu") -> Extractor:
    """Images -> 2,048 features, and the logits of 1,008 classes where the file has them."""
    network, digest = open_network("inception", Inception, device)
    head = network.head

    def features(x: Tensor) -> Tensor:
        return network(prepare(x))

    classify = None if head is None else lambda x: head(features(x))
    return Extractor("inception", digest, FEATURES, RESIZE, features, classify, device, widest=lambda shape: WIDEST)
