"""The convolutional classifier: convolutions and pooling in stages, then flatten, a hidden layer, and softmax's logits.

An image of n pixels leaves a convolution with ⌊(n + 2·padding − kernel) / stride⌋ + 1, a pooling layer with ⌊n / 2⌋.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..errors import RequestError, unknown
from .blocks import Logits, activation

POOLING: dict[str, Callable[[], nn.Module]] = {
    "max": lambda: nn.MaxPool2d(2),
    "average": lambda: nn.AvgPool2d(2),
    "stride": nn.Identity,  # the stage's last convolution strides instead
}


class CNN(nn.Module):
    """Images (N, C, H, W) in [-1, 1] -> logits (N, classes); `features` gives the hidden layer, (N, hidden).

    Each of `widths` is a stage: `depth` convolutions of so many channels, each with batch norm if `norm` and its
    activation, then a halving by `pooling`: "max", "average", or "stride", where the stage's last convolution strides
    by 2. `stride` is that of each stage's first convolution; `padding` -1 keeps the size of an image. `hidden` features
    follow, and the logits. `options` rebuild the network: they go into the frozen file's header.

    Raises RequestError where the image is too small for so many stages, or is no image.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        widths: tuple[int, ...] = (32, 64, 128),
        depth: int = 2,
        kernel: int = 3,
        stride: int = 1,
        padding: int = -1,
        pooling: str = "max",
        hidden: int = 64,
        dropout: float = 0.0,
        norm: bool = True,
        activate: str = "relu",
    ) -> None:
        super().__init__()
        self.shape, self.classes, self.hidden = tuple(shape), classes, hidden
        self.options: dict[str, Any] = {
            **{"shape": list(shape), "classes": classes, "widths": list(widths), "depth": depth},
            **{"kernel": kernel, "stride": stride, "padding": padding, "pooling": pooling, "hidden": hidden},
            **{"dropout": dropout, "norm": norm, "activate": activate},
        }
        if len(shape) != 3:
            raise RequestError(f"a cnn classifies images, not items of shape {tuple(shape)}; choose another data set")
        if pooling not in POOLING:
            raise unknown("pooling", pooling, POOLING)
        padding = kernel // 2 if padding < 0 else padding
        channels, height, width = shape
        layers: list[nn.Module] = []
        for w in widths:
            for i in range(depth):
                step = (stride if i == 0 else 1) * (2 if pooling == "stride" and i == depth - 1 else 1)
                layers += [nn.Conv2d(channels, w, kernel, step, padding, bias=not norm)]
                layers += [*([nn.BatchNorm2d(w)] if norm else []), activation(activate)]
                channels = w
                height, width = ((n + 2 * padding - kernel) // step + 1 for n in (height, width))
            if pooling != "stride":
                layers.append(POOLING[pooling]())
                height, width = height // 2, width // 2
            if min(height, width) < 1:
                raise RequestError(
                    f"{shape[1]}×{shape[2]} images are too small for the stages {','.join(map(str, widths))}; use "
                    "fewer widths, a smaller kernel or stride, or more padding"
                )
        self.stages = nn.Sequential(*layers, nn.Flatten())
        self.embed = nn.Linear(channels * height * width, hidden, bias=not norm)
        self.norm = nn.BatchNorm1d(hidden) if norm else nn.Identity()
        self.head = nn.Sequential(activation(activate), nn.Dropout(dropout), Logits(hidden, classes))

    def features(self, x: Tensor) -> Tensor:
        """The hidden layer before its activation, (N, hidden): normalised, and nearer to a Gaussian than after it."""
        return self.norm(self.embed(self.stages(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))
