"""Which label suits a picture, without training on the labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from ..data.pictures import name_of, read_picture, several
from ..errors import RequestError
from ..frozen.opening import open_clip
from ..progress import Progress, Steps
from ..shown import table_html
from .arguments import device_of, parse_names
from .types import ClipLike, Device, Names, Pictures
from .verb import Verb

SHOWN = 5  # labels of a picture
LABEL = "{label}"


@dataclass(eq=False)
class Classification:
    """How well each label suits each picture."""

    names: list[str]  # of the pictures
    labels: list[str]
    probabilities: Tensor  # (N, labels), each row a softmax

    def ranked(self) -> list[list[tuple[str, float]]]:
        """The labels of each picture with their probabilities, the best first."""
        found = self.probabilities.sort(1, descending=True)
        pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
        return [[(self.labels[i], share) for i, share in zip(*pair, strict=True)] for pair in pairs]

    def _repr_html_(self) -> str:
        ranked = [[f"{label} {p:.1%}" for label, p in row[:SHOWN]] for row in self.ranked()]
        rows = [(name, *row) for name, row in zip(self.names, ranked, strict=True)]
        return table_html(("picture", *[""] * min(SHOWN, len(self.labels))), rows)


@Verb
def classify(
    images: Annotated[Pictures, "Pictures."],
    *,
    labels: Annotated[Names, "What they may show, separated by commas: cat,dog,a red car."],
    clip: Annotated[ClipLike | None, "Run or file; by default the best CLIP on this machine."] = None,
    template: Annotated[str, "The sentence that each label is put into."] = "a photo of a {label}",
    device: Device = "auto",
    progress: bool = True,
) -> Steps[Classification]:
    """Show which label suits a picture, without training on the labels."""
    names = parse_names(labels, "labels")
    if LABEL not in template:
        raise RequestError(
            f"{template!r} has no place for the label", f"write 'a photo of a {LABEL}'", field="template"
        )
    given = several(images)
    if not given:
        raise RequestError("there is no picture", "name one or more", field="images")
    model = open_clip(clip, device_of(device))
    shape, pixels = model.shape, []
    for picture in given:
        pixels.append(read_picture(picture, shape))
        yield Progress("reading pictures", len(pixels), len(given))
    shares = model.probabilities(torch.stack(pixels), [template.replace(LABEL, name) for name in names])
    called = [str(one) if isinstance(one, str | Path) else name_of(one, i) for i, one in enumerate(given)]
    return Classification(called, names, shares)
