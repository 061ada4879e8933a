"""The convolutional classifier: stages of convolutions and pooling, then flatten, a hidden layer, and logits.

n pixels become ⌊(n + 2·padding − kernel) / stride⌋ + 1 in a convolution, ⌊n / 2⌋ in a pooling layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..errors import RequestError, entry
from .blocks import Logits, activation, arguments

POOLING = {"max": nn.MaxPool2d, "average": nn.AvgPool2d, "stride": nn.Identity}


class CNN(nn.Module):
    """Images (N, C, H, W) in [-1, 1] -> logits (N, classes); `features` gives the hidden layer, (N, hidden).

    Each of `widths` is a stage: `depth` convolutions with that many channels, each with batch norm if `norm` and its
    activation, then `pooling`: "max", "average", or "stride", where the stage's last convolution has stride 2. `stride`
    is that of each stage's first convolution; `padding` -1 keeps the size. `hidden` features follow, and the logits.
    Raises RequestError for images that are too small for the stages, and for points.
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
        options = arguments(locals())
        super().__init__()
        self.options, self.shape, self.classes, self.hidden = options, tuple(shape), classes, hidden
        if len(shape) != 3:
            problem = f"a cnn classifies images, not items of shape {tuple(shape)}"
            raise RequestError(problem, "choose another data set", field="data")
        pool = entry("pooling", pooling, POOLING, field="options.pooling")
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
                layers.append(pool(2))
                height, width = height // 2, width // 2
            if min(height, width) < 1:
                text = ",".join(map(str, widths))
                problem = f"{shape[1]}×{shape[2]} images are too small for the stages {text}"
                hint = "use fewer widths, a smaller kernel or stride, or more padding"
                raise RequestError(problem, hint, field="options.widths")
        self.stages = nn.Sequential(*layers, nn.Flatten())
        self.embed = nn.Linear(channels * height * width, hidden, bias=not norm)
        self.norm = nn.BatchNorm1d(hidden) if norm else nn.Identity()
        self.head = nn.Sequential(activation(activate), nn.Dropout(dropout), Logits(hidden, classes))

    def features(self, x: Tensor) -> Tensor:
        """The hidden layer before its activation, (N, hidden): normalised, and closer to a Gaussian than after it."""
        return self.norm(self.embed(self.stages(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))
