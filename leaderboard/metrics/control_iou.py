"""Overlap of the silhouettes of drawn images with those that they were to have."""

from __future__ import annotations

from leaderboard.metrics.control import ControlScore
from var_spaces.methods import register


@register
class ControlIou(ControlScore):
    """Intersection over union, 0..1."""

    name = "control-iou"
    title = "Control IoU (silhouettes)"
    better = "higher"
    kinds = ("mask",)
