"""What the atlas holds, by name: reads ``index.json`` with the standard library alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean

FORMAT = 1
IMAGE_NAME = "atlas.webp"
INDEX_NAME = "index.json"

CORE_64 = (
    "red apple", "banana", "strawberry", "watermelon", "pineapple", "cherries", "lemon", "pizza",
    "hamburger", "doughnut", "birthday cake", "ice cream", "hot beverage", "beer mug", "carrot",
    "mushroom", "dog", "cat", "rabbit", "panda", "lion", "tiger", "pig", "cow", "horse",
    "elephant", "penguin", "owl", "fish", "whale", "dolphin", "octopus", "turtle", "snake",
    "butterfly", "honeybee", "snail", "frog", "sunflower", "rose", "tulip", "cactus", "palm tree",
    "evergreen tree", "sun", "rainbow", "snowman", "fire", "automobile", "bus", "locomotive",
    "airplane", "rocket", "bicycle", "sailboat", "house", "castle", "soccer ball", "basketball",
    "guitar", "wrapped gift", "crown", "key", "balloon",
)  # fmt: skip
"""The concepts of the easy subset: common, distinct in outline, drawn alike in every style."""

EASY_STYLES = ("soft", "blob", "glossy", "flat", "round")
"""The coloured styles in which every core concept exists."""


@dataclass(frozen=True)
class Concept:
    """One thing that can be drawn. ``hex`` is its Unicode code point sequence in lower case."""

    name: str
    hex: str
    group: str
    subgroup: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Style:
    """One drawing style: its plain word, the artwork set behind it, and that set's licence.

    ``ink`` styles are drawn in a single colour that the scene chooses.
    """

    word: str
    set: str
    licence: str
    tier: str
    ink: bool


@dataclass(frozen=True)
class Index:
    """Contents of ``index.json``.

    ``table[c][s]`` is the sprite number of concept ``c`` in style ``s``, or -1. Sprite ``n`` is
    the tile at column ``n % columns`` and row ``n // columns`` of the image, ``tile`` pixels wide.
    """

    sha256: str
    tile: int
    columns: int
    sprites: int
    concepts: tuple[Concept, ...]
    styles: tuple[Style, ...]
    table: tuple[tuple[int, ...], ...]
    core64: tuple[int, ...]
    easy_styles: tuple[int, ...]
    packages: dict[str, str]

    def concept_id(self, name: str) -> int:
        """Position of a concept by name, letter case ignored. Raises UnknownName."""
        return find(name, [concept.name for concept in self.concepts], "concept")

    def style_id(self, name: str) -> int:
        """Position of a style by its word. Raises UnknownName."""
        return find(name, [style.word for style in self.styles], "style")


def find(name: str, known: list[str], kind: str) -> int:
    """Position of ``name`` in ``known``, letter case ignored; UnknownName suggests the nearest."""
    lowered = [word.lower() for word in known]
    try:
        return lowered.index(name.lower())
    except ValueError:
        raise UnknownName(f"No {kind} named '{name}'.{did_you_mean(name, known)}") from None


def default_folder() -> Path:
    """The atlas folder of this checkout: ``assets/atlas`` beside the package."""
    return Path(__file__).resolve().parents[3] / "assets" / "atlas"


def read_index(folder: Path | None = None) -> Index:
    """Read the index of an atlas folder (default: :func:`default_folder`).

    Raises:
        VarSpacesError: the file is missing, is not an index, or has another format version.
    """
    path = (folder or default_folder()) / INDEX_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise VarSpacesError(
            f"No {INDEX_NAME} in '{path.parent.name}': build it with "
            "python -m var_spaces.training.data.build_atlas --out assets/atlas"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise VarSpacesError(f"{path.name} is not valid JSON ({error}): build it again.") from None
    version = data.get("format") if isinstance(data, dict) else None
    if version != FORMAT:
        raise VarSpacesError(f"{path.name} has format {version!r}, expected {FORMAT}.")
    try:
        return _parse(data)
    except (KeyError, TypeError) as error:
        raise VarSpacesError(f"{path.name} lacks or misuses {error}: build it again.") from None


def _parse(data: dict) -> Index:
    concepts = tuple(Concept(**{**item, "tags": tuple(item["tags"])}) for item in data["concepts"])
    return Index(
        sha256=data["sha256"],
        tile=data["tile"],
        columns=data["columns"],
        sprites=data["sprites"],
        concepts=concepts,
        styles=tuple(Style(**item) for item in data["styles"]),
        table=tuple(tuple(row) for row in data["table"]),
        core64=tuple(data["core64"]),
        easy_styles=tuple(data["easy_styles"]),
        packages=dict(data["packages"]),
    )
