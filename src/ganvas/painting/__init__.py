"""Painting from words: CLIP steers the latent of any `Decoder` until what it decodes to suits a prompt.

`crops` is what CLIP is shown, `score` what it says of it, `start` where a painting begins, `strokes` how it goes on.
"""

from __future__ import annotations

from .crops import Crops
from .score import DISTANCES, Prompt, Towers, Wish, clip_score, parse_prompt
from .start import best_of, drawn, sized
from .strokes import Brush, Moments, Stroke, paint

__all__ = [
    "DISTANCES",
    "Brush",
    "Crops",
    "Moments",
    "Prompt",
    "Stroke",
    "Towers",
    "Wish",
    "best_of",
    "clip_score",
    "drawn",
    "paint",
    "parse_prompt",
    "sized",
]
