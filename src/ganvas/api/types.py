"""What verbs take, by name: whatever a person has. Imported for type checking alone; the values are converted below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from ..data import Source
from ..data.pictures import Picture
from ..frozen import Autoencoder, Clip, TrainedGenerator
from ..latent import Directions
from ..latent.lineage import Parents
from ..latent.saved import Latents
from ..latent.seeds import Seeds
from ..painting import Painting
from ..run import Run

RunLike = str | Path | Run | TrainedGenerator | Autoencoder  # a run, its generator.safetensors, or what was loaded
RunPath = str | Path | Run  # a run directory
ClipLike = str | Path | Run | Clip  # a run of clip or lit, a published file, or what was loaded
Label = str | int
Data = Source  # a data set by name, a folder, a file; an array, a tensor, pictures, (images, labels), a torch data set
Pictures = Picture | Sequence[Picture]  # one or several
Sources = Data | Pictures  # pictures, or one data set
DirectionLike = str | Path | Directions  # FILE[:K], a file and which of its directions, or a result
Options = Mapping[str, object]  # {"lr": 1e-4}; `ganvas recipes NAME` lists those of a recipe
Names = str | Sequence[str]  # "a,b" or ["a", "b"]
Texts = str | Sequence[str]  # one or several
Strength = str | float | tuple[float, float]  # "-3:3"
Durations = str | float | Sequence[float]  # "2", or one for each segment: "2,1,3"
Grid = str | tuple[int, int]  # "3x2"
Init = Picture | Latents | Painting  # a picture, latents, or an earlier painting
Out = str | Path
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
OnCollapse = Literal["warn", "stop", "rollback"]

__all__ = ["Latents", "Parents", "Picture", "Seeds"]
