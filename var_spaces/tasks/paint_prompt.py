"""Edit a picture without training, with models of prompts: the region becomes what the prompt says.

The editing demo of VAR (https://arxiv.org/abs/2404.02905) for bitwise tokens: every bit of a kept
token comes from the source.
"""

from __future__ import annotations

from var_spaces.methods import register
from var_spaces.tasks.region import RegionTask
from var_spaces.tasks.text_to_image import TextTask


@register
class PaintPrompt(RegionTask, TextTask):
    """Paint a region of a picture as a prompt says: the whole picture in words, best."""

    name = "paint-prompt"
    title = "Paint a region anew, in words"
    paper = "https://arxiv.org/abs/2404.02905"
