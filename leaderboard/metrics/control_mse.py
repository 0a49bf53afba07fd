"""Squared difference of drawn images from the tones that they were to have."""

from __future__ import annotations

from leaderboard.metrics.control import ControlScore
from var_spaces.methods import register


@register
class ControlMse(ControlScore):
    """Mean squared difference of the maps in grey levels, 0..65025."""

    name = "control-mse"
    title = "Control MSE (tones)"
    better = "lower"
    kinds = ("soft-edges", "blur", "grey", "palette", "depth")
