"""Edit a picture without training, with models of classes (VAR, https://arxiv.org/abs/2404.02905).

Without a class the region is filled to match its surroundings, with a class it becomes that class.
"""

from __future__ import annotations

from var_spaces.methods import register
from var_spaces.tasks.generate import ClassTask
from var_spaces.tasks.region import RegionTask


@register
class Edit(RegionTask, ClassTask):
    """Paint a region of a picture anew."""

    name = "edit"
    title = "Paint a region anew (in-painting)"
    paper = "https://arxiv.org/abs/2404.02905"
