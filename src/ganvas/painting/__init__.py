"""Painting from words: CLIP steers the latent of any `Decoder` until what it decodes to suits a prompt.

`crops` is what CLIP is shown, `score` what it says of it, `start` where a painting begins, `strokes` how it continues;
`setup` opens all of it, and `work` is the painting.
"""

from __future__ import annotations

from .crops import Crops
from .score import DISTANCES, ImageTextModel, Prompt, Prompts, clip_score, parse_prompt
from .setup import Request, Setup, set_up
from .start import draw_latent, find_start, grid_for
from .strokes import Brush, Moments, Stroke, paint
from .work import Painting, paint_all

__all__ = [
    "DISTANCES",
    "Brush",
    "Crops",
    "ImageTextModel",
    "Moments",
    "Painting",
    "Prompt",
    "Prompts",
    "Request",
    "Setup",
    "Stroke",
    "clip_score",
    "draw_latent",
    "find_start",
    "grid_for",
    "paint",
    "paint_all",
    "parse_prompt",
    "set_up",
]
