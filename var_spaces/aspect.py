"""Scale schedules by aspect ratio and preset, as Infinity publishes them (arXiv 2412.04431).

Infinity has one hand-written list of 13 grids per ratio ``r = height / width``; the presets are
prefixes of it, and a ratio below 1 is the transposed list of its inverse. Models with schedules of
their own are stretched by the square root of the ratio, so that the area stays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from var_spaces.errors import VarSpacesError, did_you_mean
from var_spaces.schedule import ScaleSchedule

PRESETS = {"0.06M": 7, "0.25M": 10, "0.60M": 12, "1M": 13}
"""Number of scales by preset; the name is the number of pixels at 1:1 and 16 pixels per token."""

# Height x width of every scale, by height / width.
_TALL = {
    1.0: "1x1 2x2 4x4 6x6 8x8 12x12 16x16 20x20 24x24 32x32 40x40 48x48 64x64",
    1.25: "1x1 2x2 3x3 5x4 10x8 15x12 20x16 25x20 30x24 35x28 45x36 55x44 70x56",
    1.333: "1x1 2x2 4x3 8x6 12x9 16x12 20x15 24x18 28x21 36x27 48x36 60x45 72x54",
    1.5: "1x1 2x2 3x2 6x4 9x6 15x10 21x14 27x18 33x22 39x26 48x32 63x42 78x52",
    1.75: "1x1 2x2 3x3 7x4 11x6 14x8 21x12 28x16 35x20 42x24 56x32 70x40 84x48",
    2.0: "1x1 2x2 4x2 6x3 10x5 16x8 22x11 30x15 38x19 46x23 60x30 74x37 90x45",
    2.5: "1x1 2x2 5x2 10x4 15x6 20x8 25x10 30x12 40x16 50x20 65x26 80x32 100x40",
    3.0: "1x1 2x2 6x2 9x3 15x5 21x7 27x9 36x12 45x15 54x18 72x24 90x30 111x37",
}


def _templates() -> dict[float, ScaleSchedule]:
    found = {}
    for ratio, text in _TALL.items():
        sizes = [tuple(map(int, size.split("x"))) for size in text.split()]
        found[ratio] = ScaleSchedule(tuple(sizes))
        # Keys are cut, not rounded: 1 / 1.5 is 0.666.
        inverse = math.trunc(1000 / ratio) / 1000
        found[inverse] = ScaleSchedule(tuple((w, h) for h, w in sizes))
    return found


TEMPLATES: dict[float, ScaleSchedule] = _templates()
"""The list of 13 grids by ratio ``height / width``."""

NAMES: dict[str, float] = {
    "1:1": 1.0, "4:5": 1.25, "5:4": 0.8, "3:4": 1.333, "4:3": 0.75, "2:3": 1.5, "3:2": 0.666,
    "4:7": 1.75, "7:4": 0.571, "1:2": 2.0, "2:1": 0.5, "2:5": 2.5, "5:2": 0.4, "1:3": 3.0,
    "3:1": 0.333,
}  # fmt: skip
"""Ratios as people write them, ``width:height``, and the key of their template."""


def nearest_template(ratio: float) -> float:
    """Key of the template nearest to ``height / width``, by absolute difference as published."""
    if not (math.isfinite(ratio) and ratio > 0):
        raise VarSpacesError(f"An aspect ratio is a number above 0, not {ratio}.")
    return min(TEMPLATES, key=lambda key: abs(key - ratio))


def published(preset: str, ratio: float = 1.0) -> ScaleSchedule:
    """Infinity's schedule of a preset for pictures of ``height / width`` near ``ratio``.

    Raises:
        VarSpacesError: for an unknown preset or a ratio that is not above 0.
    """
    if preset not in PRESETS:
        near = did_you_mean(preset, PRESETS)
        raise VarSpacesError(f"No preset '{preset}'.{near} Presets: {', '.join(PRESETS)}.")
    return _first(TEMPLATES[nearest_template(ratio)], PRESETS[preset])


def template_of(schedule: ScaleSchedule) -> ScaleSchedule | None:
    """The list of 13 grids that a schedule begins, or None."""
    height, width = schedule.last
    # Short beginnings are shared between ratios: ask the nearest first.
    nearest = sorted(TEMPLATES, key=lambda key: abs(key - height / width))
    for key in nearest:
        whole = TEMPLATES[key]
        if schedule.sizes == whole.sizes[: schedule.num_scales]:
            return whole
    return None


def shaped(patch_nums: Sequence[int], ratio: float) -> ScaleSchedule:
    """The schedule of a model, which is square on its own, for another ``height / width``.

    Args:
        patch_nums: side of the model's own token maps. A beginning of Infinity's list takes the
            template of the ratio; any other list is stretched, keeping the area of each map.
    """
    square = ScaleSchedule.square(patch_nums)
    key = nearest_template(ratio)
    if template_of(square) is TEMPLATES[1.0]:
        return _first(TEMPLATES[key], square.num_scales)
    stretch = math.sqrt(1.0 if key == 1.0 else ratio)
    sizes = [(max(1, round(p * stretch)), max(1, round(p / stretch))) for p in patch_nums]
    # One token stays one token: it is where the condition enters.
    whole = ((1, 1) if p == 1 else size for p, size in zip(patch_nums, sizes, strict=True))
    return ScaleSchedule(tuple(whole))


def reference_grid(schedule: ScaleSchedule, extent: int = 64) -> tuple[int, int]:
    """Grid ``(H, W)`` on which the positions of all scales of a schedule are laid.

    For Infinity's schedules it is the last grid of the whole list, whatever the preset; for others
    the last grid, scaled to the area of ``extent x extent``.

    Args:
        extent: rows of that grid at 1:1; 64 is published.
    """
    whole = template_of(schedule)
    if whole is not None and extent == TEMPLATES[1.0].last[0]:
        return whole.last
    height, width = schedule.last
    stretch = extent / math.sqrt(height * width)
    return max(1, round(height * stretch)), max(1, round(width * stretch))


def _first(schedule: ScaleSchedule, scales: int) -> ScaleSchedule:
    return ScaleSchedule(schedule.sizes[:scales])
