"""Painting from words: CLIP steers the latent of any `Decoder` until what it decodes to suits a prompt.

`crops` are the views that CLIP gets, `score` is what it finds, `start` finds the first latent, `strokes` move it,
`setup` opens the models, and `work` is the painting.
"""

from __future__ import annotations

from .crops import Crops
from .score import Prompts, clip_score, parse_prompt
from .setup import Request, set_up
from .start import draw_latent, find_start, grid_for
from .strokes import Brush, Stroke, paint
from .work import Painting, paint_all

__all__ = ["Brush", "Crops", "Painting", "Prompts", "Request", "Stroke", "clip_score", "draw_latent", "find_start"]
__all__ += ["grid_for", "paint", "paint_all", "parse_prompt", "set_up"]
