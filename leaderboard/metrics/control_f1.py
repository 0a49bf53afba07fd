"""F1 of the lines of drawn images against the line drawings that they were to follow."""

from __future__ import annotations

from leaderboard.metrics.control import ControlScore
from var_spaces.methods import register


@register
class ControlF1(ControlScore):
    """0..1; a line may be one pixel off."""

    name = "control-f1"
    title = "Control F1 (lines)"
    better = "higher"
    kinds = ("canny", "scribble")
