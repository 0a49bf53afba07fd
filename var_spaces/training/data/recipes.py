"""Named distributions of scenes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean
from var_spaces.training.data.index import CORE_64, EASY_STYLES
from var_spaces.training.data.palette import BACKGROUNDS
from var_spaces.training.data.splits import SPLITS

_PLAIN_WIDE = dict.fromkeys(BACKGROUNDS, 0.7 / 13) | {"white": 0.3}


@dataclass(frozen=True)
class Recipe:
    """How scenes are drawn at random. All lengths are fractions of the side of the image.

    Attributes:
        concepts: names in label order, or None for every core concept.
        styles: style words in label order.
        split: which (concept, style) pairs may occur, one of SPLITS.
        counts: weights of one, two and three objects.
        size: range of the size of an object that is alone.
        small_size: range of the size of objects that share the image.
        jitter, small_jitter: largest shift of a centre, in both directions; objects are kept
            inside the image.
        flip, gradient, tint: probabilities of a mirrored object, a two-colour background, and a
            tinted object (coloured styles only).
        inks: probability that an ink drawing takes another ink than the usual black.
        same_style: probability that all objects of a scene share one style.
        same_concept: probability that all objects are drawn alike: one concept, style and colour.
        usual: probability that two or three objects stand where those stand of which nothing is
            said, see :data:`~var_spaces.training.data.tables.USUAL`; above 0, all that are drawn
            alike stand there.
        backgrounds: weight of each background colour by name.
    """

    concepts: tuple[str, ...] | None
    styles: tuple[str, ...]
    split: str = "train"
    counts: tuple[float, float, float] = (1.0, 0.0, 0.0)
    size: tuple[float, float] = (0.84, 0.94)
    small_size: tuple[float, float] = (0.36, 0.50)
    jitter: float = 0.02
    small_jitter: float = 0.03
    flip: float = 0.0
    gradient: float = 0.0
    tint: float = 0.0
    inks: float = 0.0
    same_style: float = 0.5
    same_concept: float = 0.0
    usual: float = 0.0
    backgrounds: dict[str, float] = field(default_factory=lambda: {"white": 1.0})

    def __post_init__(self) -> None:
        _require(self.split in SPLITS, f"split '{self.split}' is not one of {', '.join(SPLITS)}")
        for name in ("flip", "gradient", "tint", "inks", "same_style", "same_concept", "usual"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"{name} is {value}, allowed is 0 to 1")
        for name in ("size", "small_size"):
            low, high = getattr(self, name)
            _require(0 < low <= high <= 1, f"{name} must be a range within 0 to 1")
        for name in ("jitter", "small_jitter"):
            value = getattr(self, name)
            _require(0 <= value <= 0.5, f"{name} is {value}, allowed is 0 to 0.5")
        for name, weights in (("counts", self.counts), ("backgrounds", self.backgrounds.values())):
            usable = min(weights, default=-1) >= 0 and sum(weights) > 0
            _require(usable, f"{name} needs weights of at least 0 with a sum above 0")
        _require(len(self.counts) == 3, "counts needs the weights of one, two and three objects")
        for name in self.backgrounds:
            hint = did_you_mean(name, BACKGROUNDS)
            _require(name in BACKGROUNDS, f"no background colour named '{name}'.{hint}")

    @property
    def slots(self) -> int:
        """Largest number of objects that can occur."""
        return max(number + 1 for number, weight in enumerate(self.counts) if weight > 0)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise VarSpacesError(f"Recipe refused: {message}.")


EASY = Recipe(
    concepts=CORE_64,
    styles=EASY_STYLES,
    backgrounds={"white": 0.6, "sky": 0.1, "cream": 0.1, "pink": 0.1, "blue": 0.1},
)

WIDE = Recipe(
    concepts=None,
    styles=("soft", "blob", "glossy", "flat", "ink", "round"),
    counts=(0.5, 0.25, 0.25),
    size=(0.55, 0.96),
    jitter=0.15,
    flip=0.3,
    gradient=0.1,
    tint=0.1,
    inks=0.5,
    backgrounds=_PLAIN_WIDE,
)

WIDE_SINGLE = Recipe(
    concepts=None,
    styles=WIDE.styles,
    size=(0.75, 0.96),
    jitter=0.08,
    flip=0.3,
    gradient=0.1,
    tint=0.1,
    inks=0.5,
    backgrounds=_PLAIN_WIDE,
)

COMPOSED = Recipe(
    concepts=CORE_64,
    styles=EASY_STYLES,
    counts=(0.5, 0.3, 0.2),
    size=(0.74, 0.94),
    small_size=(0.40, 0.48),
    jitter=0.04,
    tint=0.3,
    same_style=1.0,
    same_concept=0.35,
    backgrounds=_PLAIN_WIDE,
)

COMPOSED_WIDE = Recipe(
    concepts=None,
    styles=WIDE.styles,
    counts=(0.45, 0.3, 0.25),
    size=(0.6, 0.96),
    jitter=0.1,
    flip=0.3,
    gradient=0.05,
    tint=0.3,
    inks=0.5,
    same_style=0.8,
    same_concept=0.3,
    backgrounds=_PLAIN_WIDE,
)

SINGLE = replace(COMPOSED, counts=(1.0, 0.0, 0.0))
ALIKE = replace(COMPOSED, same_concept=1.0)
MANY = replace(COMPOSED, counts=(0.35, 0.4, 0.25), same_concept=0.3)
PLACED = replace(COMPOSED, counts=(0.4, 0.5, 0.1), same_concept=0.2, tint=0.4)
PAIRS = replace(COMPOSED, counts=(0.2, 0.7, 0.1), same_concept=0.1, tint=0.5)
BALANCED = replace(COMPOSED, counts=(0.4, 0.45, 0.15), tint=0.4)
DETAILED = replace(COMPOSED, counts=(0.5, 0.37, 0.13))
SETTLED = replace(BALANCED, usual=0.5)
SETTLED_DETAILED = replace(DETAILED, usual=0.5)
SETTLED_WIDE = replace(COMPOSED_WIDE, usual=0.5)
SETTLED_SINGLE = replace(SETTLED_DETAILED, counts=(0.75, 0.2, 0.05))
JUDGED = replace(COMPOSED, counts=(0.4, 0.3, 0.3), size=(0.7, 0.96), tint=0.6, same_style=0.7)

RECIPES: dict[str, Recipe] = {
    "easy": EASY,
    "wide": WIDE,
    "wide_single": WIDE_SINGLE,
    "composed": COMPOSED,
    "composed_wide": COMPOSED_WIDE,
    "single": SINGLE,
    "alike": ALIKE,
    "many": MANY,
    "placed": PLACED,
    "pairs": PAIRS,
    "balanced": BALANCED,
    "detailed": DETAILED,
    "settled": SETTLED,
    "settled_detailed": SETTLED_DETAILED,
    "settled_single": SETTLED_SINGLE,
    "settled_wide": SETTLED_WIDE,
    "judged": JUDGED,
}
"""``easy``: 64 concepts in five coloured styles, one large object, few light backgrounds.
``wide``: every core concept in six styles, one to three objects, all backgrounds.
``wide_single``: as ``wide`` with one object.
``composed``: the easy concepts and styles, one to three objects, numbers, colours, all backgrounds.
``composed_wide``: the same with every core concept in six styles.
``single``, ``alike``: as ``composed`` with one thing, or with several of one kind.
``many``: as ``composed`` with two different things more often.
``placed``: with two different things in every second scene, each often in a colour of its own.
``pairs``: two different things in most scenes, half of the things in another colour.
``balanced``: as ``composed`` with fewer things and more of them in another colour.
``detailed``: as ``balanced`` with one thing in half of the scenes, and fewer colours.
``settled``, ``settled_detailed``: as ``balanced`` and ``detailed``; things of which no place is
said stand in one way, as those of half of the other scenes do. ``settled_single``: three of four
with one thing. ``settled_wide``: ``composed_wide`` likewise.
``judged``: for judges; things are known by their shape, so more than half are in another colour."""


def recipe(name: str) -> Recipe:
    """A named recipe. Raises UnknownName with the nearest known one."""
    if name not in RECIPES:
        raise UnknownName(f"No recipe named '{name}'.{did_you_mean(name, RECIPES)}")
    return RECIPES[name]
