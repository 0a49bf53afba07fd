"""The scene record: a small description of which an image is a pure function."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean
from var_spaces.training.data.palette import BACKGROUNDS, HUES

MAX_OBJECTS = 5


@dataclass(frozen=True)
class Object:
    """One drawn thing. Later objects of a scene cover earlier ones.

    Attributes:
        concept, style: names that the atlas knows (checked when the scene is packed).
        cx, cy: centre as a fraction of the side, -0.5..1.5; (0, 0) is the top left corner.
        size: side of the sprite as a fraction of the side of the image, above 0 and up to 2.
        flip: mirrored left to right.
        tint: name of a hue that replaces the hue of every pixel (coloured styles), or None.
        ink: colour ``"#rrggbb"`` of a style drawn in one colour, or None for its usual one.
    """

    concept: str
    style: str
    cx: float = 0.5
    cy: float = 0.5
    size: float = 0.9
    flip: bool = False
    tint: str | None = None
    ink: str | None = None

    def __post_init__(self) -> None:
        for name in ("concept", "style"):
            _require(isinstance(getattr(self, name), str), f"{name} must be a name")
        for name, low, high in (("cx", -0.5, 1.5), ("cy", -0.5, 1.5), ("size", 0.0, 2.0)):
            value = _number(name, getattr(self, name))
            _require(low <= value <= high, f"{name} is {value}, allowed is {low} to {high}")
            object.__setattr__(self, name, value)
        _require(self.size > 0, "size must be above 0")
        _require(isinstance(self.flip, bool), "flip must be true or false")
        if self.tint is not None:
            _known("tint", self.tint, HUES)
        if self.ink is not None:
            text = isinstance(self.ink, str) and re.fullmatch("#[0-9a-f]{6}", self.ink)
            _require(bool(text), f"ink is {self.ink!r}, it must look like '#1a2b3c'")


@dataclass(frozen=True)
class Scene:
    """A background and 0..5 objects.

    ``background`` is the name of a plain colour, or two names (top, bottom) of a vertical gradient.
    """

    background: str | tuple[str, str]
    objects: tuple[Object, ...] = ()

    def __post_init__(self) -> None:
        given = self.background
        names = [given] if isinstance(given, str) else given
        _require(isinstance(names, list | tuple), "background must be one name or two")
        _require(len(names) in (1, 2), "background must be one name or two")
        for name in names:
            _known("background colour", name, BACKGROUNDS)
        # Equal pictures have equal records: a gradient between equal colours is a plain colour.
        same = names[0] == names[-1]
        object.__setattr__(self, "background", names[0] if same else tuple(names))
        object.__setattr__(self, "objects", tuple(self.objects))
        count = len(self.objects)
        _require(count <= MAX_OBJECTS, f"{count} objects, at most {MAX_OBJECTS} are allowed")

    @property
    def colours(self) -> tuple[str, str]:
        """Names of the top and the bottom colour."""
        if isinstance(self.background, str):
            return self.background, self.background
        return self.background

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, fields at their default value left out."""
        data: dict[str, Any] = {"background": self.background}
        data["objects"] = [_without_defaults(item) for item in self.objects]
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Scene:
        """Read a record. Raises VarSpacesError on unknown fields, wrong types and ranges."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise VarSpacesError(f"The scene is not valid JSON: {error}.") from None
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Any) -> Scene:
        """The same from parsed JSON."""
        _check_fields(data, cls, "scene")
        objects = data.get("objects", [])
        _require(isinstance(objects, list), "objects must be a list")
        for item in objects:
            _check_fields(item, Object, "object")
        return cls(data["background"], tuple(Object(**item) for item in objects))


_DEFAULTS = {field.name: field.default for field in fields(Object)}


def _without_defaults(item: Object) -> dict[str, Any]:
    return {name: value for name, value in asdict(item).items() if value != _DEFAULTS[name]}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise VarSpacesError(f"Scene refused: {message}.")


def _number(name: str, value: Any) -> float:
    real = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    _require(real, f"{name} is {value!r}, it must be a number")
    return float(value) + 0.0  # -0.0 and 0.0 are one record


def _known(kind: str, name: Any, table: dict) -> None:
    if not isinstance(name, str) or name not in table:
        hint = did_you_mean(str(name), table)
        raise UnknownName(f"No {kind} named {name!r}.{hint} Known: {', '.join(table)}.")


_REQUIRED = {"scene": {"background"}, "object": {"concept", "style"}}


def _check_fields(data: Any, cls: type, kind: str) -> None:
    _require(isinstance(data, dict), f"a {kind} must be a JSON object")
    known = [field.name for field in fields(cls)]
    for name in data:
        _require(name in known, f"{kind} has no field '{name}'.{did_you_mean(name, known)}")
    for name in sorted(_REQUIRED[kind] - set(data)):
        _require(False, f"{kind} lacks the field '{name}'")
