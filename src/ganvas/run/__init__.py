"""A run: training that is written down as it happens, and that resumes exactly where a kill, a crash or Ctrl-C left it.

`recipe.json` is the request, `log.jsonl` what was measured, `samples/` pictures of the same latents next to real
items, `checkpoints/` all that training remembers, and `generator.safetensors` the generator alone.
"""

from .run import Run

__all__ = ["Run"]
