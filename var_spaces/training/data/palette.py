"""The colours that scenes may name: backgrounds, tints and inks."""

from __future__ import annotations

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "cream": (252, 243, 217),
    "sky": (176, 219, 245),
    "pink": (248, 196, 212),
    "blue": (86, 136, 214),
    "mint": (190, 234, 208),
    "green": (96, 170, 104),
    "lavender": (212, 200, 240),
    "purple": (128, 92, 172),
    "orange": (240, 164, 92),
    "yellow": (248, 222, 120),
    "red": (206, 84, 80),
    "grey": (160, 164, 168),
    "navy": (38, 52, 92),
}
"""Background colours, sRGB 0..255. The order is the background id."""

HUES: dict[str, float] = {
    "red": 0.0,
    "orange": 28.0,
    "yellow": 52.0,
    "green": 120.0,
    "teal": 176.0,
    "blue": 218.0,
    "purple": 276.0,
    "pink": 330.0,
}
"""Tint hues in degrees, 0..360. The order is the tint id."""

TINT_SATURATION = 0.5
"""A tint raises the saturation of every pixel to at least this, so that grey things take it too."""

INKS: dict[str, tuple[int, int, int]] = {
    "black": (34, 34, 34),
    "white": (250, 250, 250),
    "navy": (30, 48, 110),
    "red": (190, 34, 40),
    "green": (24, 106, 58),
    "purple": (98, 44, 140),
    "brown": (104, 62, 30),
    "teal": (0, 110, 116),
}
"""Ink colours that samplers draw from; a scene may use any other colour. The first is usual."""


def luminance(colour: tuple[int, int, int]) -> float:
    """Perceived brightness of an sRGB colour, 0..255 (ITU-R BT.601 weights)."""
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue
