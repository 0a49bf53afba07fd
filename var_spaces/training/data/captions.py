"""Captions of scenes, with what exactly each of them says.

A caption names objects, colours, numbers, places, background and style in one of many wordings. It
depends on (seed, index) and the scene only, and says nothing that is not so; what it leaves out is
free. The claims are what a generated picture can be checked against.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch

from var_spaces.evaluators.claims import Caption, Thing
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.counter import draw
from var_spaces.training.data.palette import BACKGROUNDS, INKS
from var_spaces.training.data.scene import Object, Scene
from var_spaces.training.data.tables import GRID, USUAL
from var_spaces.training.data.words import (
    BACKGROUND_WORDS,
    PLACES,
    article,
    other_names,
    plural,
    without_colour,
)

T = TypeVar("T")

FRAMES = (
    "{x}", "{x}", "a picture of {x}", "an image of {x}", "a drawing of {x}",
    "an illustration of {x}", "a card showing {x}", "a scene with {x}",
)  # fmt: skip
COLOURS = (
    "{c} {n}", "{c} {n}", "{c} coloured {n}", "{n} coloured {c}", "{n} in {c}", "{n} painted {c}",
    "bright {c} {n}",
)  # fmt: skip
COUNTS = {
    2: ("two {n}", "2 {n}", "a pair of {n}", "a couple of {n}", "exactly two {n}", "two small {n}"),
    3: ("three {n}", "3 {n}", "a trio of {n}", "a group of three {n}", "exactly three {n}",
        "three small {n}"),
}  # fmt: skip
PAIRS = (
    "{a} and {b}", "{b} and {a}", "{a} with {b}", "{a} next to {b}", "{a} beside {b}",
    "{a} together with {b}", "both {a} and {b}",
)  # fmt: skip
TRIPLES = (
    "{a}, {b} and {c}", "{c}, {a} and {b}", "{b}, {c} and {a}", "{a} with {b} and {c}",
    "{a} next to {b} and {c}", "{a} together with {b} and {c}",
)  # fmt: skip
BESIDE = (
    "{a} to the left of {b}", "{b} to the right of {a}", "{a} left of {b}", "{b} right of {a}",
    "{a} on the left and {b} on the right", "{b} on the right and {a} on the left",
)  # fmt: skip
ABOVE = (
    "{a} above {b}", "{b} below {a}", "{a} over {b}", "{b} under {a}",
    "{a} at the top and {b} at the bottom", "{b} at the bottom and {a} at the top",
)  # fmt: skip
ON_BACKGROUND = (
    " on {a} background", " on {a} background", " in front of {a} background",
    " against {a} background", " with {a} background", " over {a} backdrop", ", {c} background",
)  # fmt: skip
ON_GRADIENT = (
    " on a background fading from {t} to {b}", " on a {t} to {b} gradient",
    " with a background from {t} to {b}", " against a {t} to {b} background",
    ", {t} above and {b} below", " in front of a gradient from {t} to {b}",
)  # fmt: skip
IN_STYLE = (
    " in {s} style", " in {s} style", ", {s} style", " in the {s} style", ", drawn in {s} style",
    ", in {a} look", " with {a} look",
)  # fmt: skip

_STREAMS = 48
_SALT = 0x6361_7074  # captions and scenes of one seed are drawn independently
_SEPARATE = 0.3  # distance of centres, in sides, that people call left, right, above or below


@dataclass(frozen=True)
class CaptionRecipe:
    """How often captions say what, 0..1 each.

    Attributes:
        background, style: the background; the style, if all objects share one.
        place: absolute or relative places of two or three objects.
        colour: a tint or an ink other than black.
        synonym: another name for a concept that has one.
        settled: places that are not said are the usual ones (``tables.USUAL``): of other scenes
            they are said whatever ``place`` is, and things are named in the order of places.
    """

    background: float = 0.75
    style: float = 0.7
    place: float = 0.6
    colour: float = 0.95
    synonym: float = 0.25
    settled: bool = False


class Written(NamedTuple):
    """A caption, and for each of its things the words that name it: article, colour and place."""

    caption: Caption
    phrases: tuple[str, ...]


class CaptionWriter:
    """Writes captions for scenes of an atlas."""

    def __init__(self, atlas: Atlas, recipe: CaptionRecipe | None = None) -> None:
        self.recipe = recipe or CaptionRecipe()
        self.names = other_names(atlas.concepts)

    def batch(self, scenes: Sequence[Scene], seed: int, start: int) -> list[Caption]:
        """Captions of the scenes at positions ``start``, ``start + 1``, ... of a stream."""
        return [written.caption for written in self.written(scenes, seed, start)]

    def written(self, scenes: Sequence[Scene], seed: int, start: int) -> list[Written]:
        """The same, with the words of every thing."""
        rows = torch.arange(start, start + len(scenes))
        numbers = draw(seed ^ _SALT, rows, _STREAMS).tolist()
        return [
            self._write(scene, Choices(row)) for scene, row in zip(scenes, numbers, strict=True)
        ]

    def caption(self, scene: Scene, seed: int, index: int) -> Caption:
        """The caption of one scene; the same as that of a batch."""
        return self.batch([scene], seed, index)[0]

    def _write(self, scene: Scene, choose: Choices) -> Written:
        recipe = self.recipe
        groups = _groups(scene.objects)
        say_place = choose.chance(recipe.place)
        say_place |= recipe.settled and not stands_as_usual(scene.objects)
        things, relation = self._things(groups, say_place, choose)
        words = [self._noun(thing, choose) for thing in things]
        text = choose.one(FRAMES).format(x=self._join(words, things, relation, choose))
        background = scene.background if choose.chance(recipe.background) else None
        styles = {item.style for item in scene.objects}
        style = styles.pop() if len(styles) == 1 and choose.chance(recipe.style) else None
        clauses = [_background(background, choose), _style(style, choose)]
        if choose.chance(0.5):
            clauses.reverse()
        caption = Caption(text + "".join(clauses), tuple(things), background, style, relation)
        return Written(caption, tuple(words))

    def _things(
        self, groups: list[list[Object]], say_place: bool, choose: Choices
    ) -> tuple[list[Thing], str | None]:
        """What is said of every group, and how two single objects stand to each other."""
        colours = [colour_name(group[0]) for group in groups]
        said = [c if choose.chance(self.recipe.colour) else None for c in colours]
        alone = len(groups) > 1 and all(len(group) == 1 for group in groups) and say_place
        relation = _relation(groups) if alone and len(groups) == 2 else None
        if relation and choose.chance(0.5):
            if _centre(groups[0][0], relation) > _centre(groups[1][0], relation):
                groups.reverse()
                said.reverse()
        else:
            relation = None
        absolute = alone and relation is None
        things = [
            Thing(group[0].concept, len(group), colour, place_of(group[0]) if absolute else None)
            for group, colour in zip(groups, said, strict=True)
        ]
        return things, relation

    def _noun(self, thing: Thing, choose: Choices) -> str:
        """A thing in words, article and all."""
        others = self.names.get(thing.concept, ())
        name = (
            choose.one(others) if others and choose.chance(self.recipe.synonym) else thing.concept
        )
        form = choose.one(COLOURS) if thing.colour else "{n}"
        if thing.colour:
            name = without_colour(name)
        place = f" {choose.one(PLACES[thing.place])}" if thing.place else ""
        if thing.count == 1:
            return article(form.format(n=name, c=thing.colour)) + place
        several = form.format(n=plural(name), c=thing.colour)
        return choose.one(COUNTS[thing.count]).format(n=several) + place

    def _join(
        self, words: list[str], things: list[Thing], relation: str | None, choose: Choices
    ) -> str:
        if relation:
            forms = BESIDE if relation == "left of" else ABOVE
            return choose.one(forms).format(a=words[0], b=words[1])
        placed = any(thing.place for thing in things)
        match words:
            case []:
                return "nothing"
            case [one]:
                return one
            case [a, b]:
                return self._form(PAIRS, placed, choose).format(a=a, b=b)
            case [a, b, c]:
                return self._form(TRIPLES, placed, choose).format(a=a, b=b, c=c)
        return ", ".join(words[:-1]) + f" and {words[-1]}"

    def _form(self, forms: Sequence[str], placed: bool, choose: Choices) -> str:
        if placed:
            return forms[0]
        return choose.one(list(filter(_in_order, forms)) if self.recipe.settled else forms)


class Choices:
    """Numbers in 0 .. 2**32 - 1, used up one by one."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = iter(numbers)

    def one(self, options: Sequence[T]) -> T:
        return options[next(self._numbers) * len(options) >> 32]

    def chance(self, probability: float) -> bool:
        return next(self._numbers) < probability * 2**32

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * next(self._numbers) / 2**32

    def weighted(self, weights: Mapping[str, float]) -> str:
        """A name, as often as its weight says."""
        left = next(self._numbers) / 2**32 * sum(weights.values())
        for name, weight in weights.items():
            left -= weight
            if left < 0:
                return name
        return name


def _groups(objects: Sequence[Object]) -> list[list[Object]]:
    """Objects that a caption cannot tell apart, together, in the order of the scene."""
    found: dict[tuple, list[Object]] = {}
    for item in objects:
        found.setdefault((item.concept, item.tint, item.ink), []).append(item)
    return list(found.values())


def colour_name(item: Object) -> str | None:
    """Name of a tint, or of an ink that has one; None for a thing's own colours."""
    if item.ink is None:
        return item.tint
    value = tuple(bytes.fromhex(item.ink[1:]))
    return next((name for name, ink in INKS.items() if ink == value), None)


def stands_as_usual(objects: Sequence[Object]) -> bool:
    """Whether objects stand where those stand of which nothing is said, the first one first."""
    usual = USUAL.get(len(objects), ())
    return [place_of(item) for item in objects] == [
        place_of(Object("", "", cx / GRID, cy / GRID)) for cx, cy in usual
    ]


def _in_order(form: str) -> bool:
    """Whether a form names things in the order in which it gets them."""
    fields = re.findall("{(.)}", form)
    return fields == sorted(fields)


def _centre(item: Object, relation: str) -> float:
    return item.cx if relation == "left of" else item.cy


def _relation(groups: list[list[Object]]) -> str | None:
    """How two objects stand, if people would agree on it."""
    one, two = groups[0][0], groups[1][0]
    across, down = abs(one.cx - two.cx), abs(one.cy - two.cy)
    if across > _SEPARATE > 2 * down:
        return "left of"
    return "above" if down > _SEPARATE > 2 * across else None


def place_of(item: Object) -> str | None:
    """Corner or middle of an object's centre, if it is clearly there."""
    column = "left" if item.cx < 0.38 else "right" if item.cx > 0.62 else ""
    row = "top" if item.cy < 0.38 else "bottom" if item.cy > 0.62 else ""
    if row and column:
        return f"{row} {column}"
    return None if row or column else "middle"


def _background(background: str | tuple[str, str] | None, choose: Choices) -> str:
    if background is None:
        return ""
    if isinstance(background, str):
        colour = choose.one(BACKGROUND_WORDS[background])
        return choose.one(ON_BACKGROUND).format(c=colour, a=article(colour))
    top, bottom = (choose.one(BACKGROUND_WORDS[name]) for name in background)
    return choose.one(ON_GRADIENT).format(t=top, b=bottom)


def _style(style: str | None, choose: Choices) -> str:
    return "" if style is None else choose.one(IN_STYLE).format(s=style, a=article(style))


def vocabulary(atlas: Atlas) -> list[str]:
    """All texts that captions are put together from, for a tokenizer that must know them."""
    names = [concept.name for concept in atlas.concepts]
    synonyms = [name for group in other_names(atlas.concepts).values() for name in group]
    families = (FRAMES, COLOURS, *COUNTS.values(), PAIRS, TRIPLES, BESIDE, ABOVE)
    families += (ON_BACKGROUND, ON_GRADIENT, IN_STYLE, *PLACES.values(), *BACKGROUND_WORDS.values())
    texts = [text for family in families for text in family]
    nouns = [*names, *synonyms]
    colours = [*BACKGROUNDS, *INKS]
    return [*texts, *nouns, *map(plural, nouns), *map(article, nouns), *colours, *atlas.styles]
