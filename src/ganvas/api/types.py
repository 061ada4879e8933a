"""What verbs take, by name: whatever a person has. Imported for type checking alone; the values are converted below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from ..data import Dataset
from ..data.pictures import Picture
from ..frozen import Autoencoder, Clip, TrainedGenerator
from ..latent import Directions
from ..latent.lineage import Parents
from ..latent.saved import Latents
from ..latent.seeds import Seeds
from ..painting import Painting
from ..run import Run

RunLike = str | Path | Run | TrainedGenerator | Autoencoder
RunPath = str | Path | Run
ClipLike = str | Path | Run | Clip
Label = str | int
DataPath = str | Path
Data = str | Path | Dataset
Pictures = Picture | Sequence[Picture]
Sources = Data | Pictures
DirectionLike = str | Path | Directions  # FILE[:K]
Options = Mapping[str, object]
Names = str | Sequence[str]  # "a,b" or ["a", "b"]
Texts = str | Sequence[str]
Strength = str | float | tuple[float, float]  # "-3:3"
Durations = str | float | Sequence[float]  # seconds
Grid = str | tuple[int, int]  # "3x2"
Init = Picture | Latents | Painting  # a picture, latents, or an earlier painting
Out = str | Path
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
OnCollapse = Literal["warn", "stop", "rollback"]

__all__ = ["Latents", "Parents", "Picture", "Seeds"]
