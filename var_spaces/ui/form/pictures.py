"""Pictures that visitors hand in or draw on, as a form's values and as inputs of a run spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from var_spaces.errors import VarSpacesError
from var_spaces.pictures import as_mask, as_rgb, digest
from var_spaces.zoo.cards import cards

if TYPE_CHECKING:
    from var_spaces.spec import RunSpec
    from var_spaces.ui.form.field import Field

SKETCHES = frozenset({"inputs.map"})  # pictures that may also be drawn
KEPT = "kept"  # stands for a picture that stays as it is
EDITOR_SIDE = 512
ROWS = 64  # that are blended at a time: in float64 a picture takes eight times its memory


def is_empty(value: Any) -> bool:
    """Whether a picture's control holds nothing yet."""
    return value is None or (isinstance(value, Mapping) and value.get("background") is None)


def taken(value: Any, field: Field) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """What a picture's control holds.

    Args:
        value: pixels, or a drawing ``{"background", "layers"}`` of an image editor.

    Returns:
        Content hashes by input, and the pixels by content hash.

    Raises:
        VarSpacesError: if there is no picture yet.
    """
    picture, mask = drawing(value) if isinstance(value, Mapping) else (value, None)
    if picture is None:
        raise VarSpacesError("There is no picture yet: hand one in.")
    pixels = {field.option.field: as_rgb(picture)}
    if mask is not None and field.mask:
        pixels[field.mask] = as_mask(mask)
    names = {name: digest(found) for name, found in pixels.items()}
    return names, {names[name]: found for name, found in pixels.items()}


def sketched(value: Any, drawn: bool) -> np.ndarray | None:
    """What an editor holds as a picture ``(H, W, 3)`` uint8; None if it is empty.

    Args:
        drawn: strokes mean white lines or areas on black, whatever their colour; else they keep
            their colours, on white.
    """
    if not isinstance(value, Mapping):
        return None if value is None else as_rgb(value)
    ground = value.get("background")
    layers = [np.asarray(layer) for layer in value.get("layers") or ()]
    layers = [layer for layer in layers if layer[..., 3].any()]
    ground = None if ground is None or not np.asarray(ground)[..., -1].any() else ground
    if ground is None and not layers:
        return None
    if ground is not None:
        found = as_rgb(ground).copy()
    else:
        found = np.full((*layers[0].shape[:2], 3), 0 if drawn else 255, np.uint8)
    for layer in layers:
        painted = np.flatnonzero(layer[..., 3].any(1))
        for start in range(painted[0], painted[-1] + 1, ROWS):
            rows = slice(start, start + ROWS)
            share = layer[rows, :, 3:] / 255
            colour = 255 if drawn else layer[rows, :, :3]
            found[rows] = np.round(share * colour + (1 - share) * found[rows])
    return found


def drawing(value: Mapping[str, Any]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Background and mask of an image editor; what was painted on any layer is in the mask.

    Returns:
        ``(H, W, 4)`` uint8 and ``(H, W)`` bool, None for what is not there.
    """
    background = value.get("background")
    painted = [np.asarray(layer)[..., 3] > 0 for layer in value.get("layers") or ()]
    mask = np.logical_or.reduce(painted) if painted else None
    return background, mask if mask is not None and mask.any() else None


def blank(drawn_on: bool) -> Any:
    """Stands for a picture that is not there yet, with a region if one is to be painted."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    return for_editor(pixels, np.eye(8, dtype=bool)) if drawn_on else pixels


def held(field: Field, spec: RunSpec, pictures: Mapping[str, np.ndarray]) -> Any:
    """What a picture's control held when a run was asked for, so that asking again is the same run.

    Args:
        pictures: by content hash; without that of the run the control stays as it is.
    """
    named = spec.inputs if spec.task in field.tasks else {}
    pixels, mask = (pictures.get(named.get(name)) for name in (field.option.field, field.mask))
    if pixels is None:
        return KEPT
    marked = None if mask is None else mask > 0
    return for_editor(pixels, marked, larger=False) if is_drawn_on(field) else pixels


def is_drawn_on(field: Field) -> bool:
    """Whether a picture is handed in by an image editor."""
    return bool(field.mask) or field.key in SKETCHES


def most_pixels() -> int:
    """Of a picture in an editor (``js/editor.js``): enough to paint on, and for the largest model
    on offer to see all that it can of the middle of a picture up to twice as long as wide."""
    side = max((card.resolution for card in cards("generator").values()), default=0)
    return max(EDITOR_SIDE**2, 2 * side**2)


def for_editor(
    pixels: np.ndarray, mask: np.ndarray | None = None, larger: bool = True
) -> dict[str, Any]:
    """A picture ``(H, W, 3)`` uint8 with a painted region ``(H, W)`` bool, for an image editor.

    Args:
        larger: a small picture is enlarged, so that one can paint on it.
    """
    times = max(1, EDITOR_SIDE // max(pixels.shape[:2])) if larger else 1
    large = pixels.repeat(times, 0).repeat(times, 1)
    layers = []
    if mask is not None:
        layer = np.zeros((*large.shape[:2], 4), np.uint8)
        layer[mask.repeat(times, 0).repeat(times, 1)] = BRUSH
        layers = [layer]
    return {"background": large, "layers": layers, "composite": None}


BRUSH = (224, 84, 68, 255)
