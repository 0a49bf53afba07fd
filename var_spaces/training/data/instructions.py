"""Instructions: what people say when they want a picture changed.

Every operation has a family of wordings. ``{o}`` is a thing that is there ("the blue car"), ``{n}``
a thing that is to come ("a cat"), ``{w}`` where ("at the top left"), ``{p}`` the same after "to
the", ``{c}`` a colour, ``{a}`` a colour behind its article, ``{s}`` a style.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from var_spaces.training.data.captions import Choices, colour_name, place_of
from var_spaces.training.data.scene import Object, Scene
from var_spaces.training.data.words import PLACES, article, without_colour

WORDINGS: Mapping[str, tuple[str, ...]] = {
    "add": (
        "add {n} {w}", "put {n} {w}", "place {n} {w}", "draw {n} {w}", "insert {n} {w}",
        "there should be {n} {w}", "add {n} to the picture {w}",
    ),
    "remove": (
        "remove {o}", "delete {o}", "take {o} away", "erase {o}", "get rid of {o}",
        "make {o} disappear", "take out {o}",
    ),
    "replace": (
        "replace {o} with {n}", "replace {o} by {n}", "turn {o} into {n}", "swap {o} for {n}",
        "change {o} into {n}", "put {n} in place of {o}", "draw {n} instead of {o}",
    ),
    "recolour": (
        "make {o} {c}", "paint {o} {c}", "colour {o} {c}", "turn {o} {c}",
        "change the colour of {o} to {c}", "{o} should be {c}", "color {o} {c}", "dye {o} {c}",
    ),
    "restyle": (
        "redraw it in {s} style", "change the style to {s}", "draw everything in {s} style",
        "use the {s} style", "turn the picture into {s} style", "make it {s} style",
        "convert the picture to the {s} style",
    ),
    "background": (
        "make the background {c}", "change the background to {c}", "put it on {a} background",
        "use {a} background", "turn the background {c}", "set the background to {c}",
        "the background should be {c}",
    ),
    "move": (
        "move {o} to the {p}", "shift {o} to the {p}", "put {o} {w}", "bring {o} to the {p}",
        "{o} should be {w}", "place {o} {w}", "move {o} so that it is {w}",
    ),
    "enlarge": (
        "make {o} bigger", "make {o} larger", "enlarge {o}", "{o} should be bigger",
        "scale {o} up", "increase the size of {o}", "make {o} much bigger",
    ),
    "shrink": (
        "make {o} smaller", "shrink {o}", "{o} should be smaller", "scale {o} down",
        "reduce the size of {o}", "make {o} much smaller", "make {o} tiny",
    ),
    "duplicate": (
        "duplicate {o} {w}", "copy {o} to the {p}", "put a copy of {o} {w}", "repeat {o} {w}",
        "draw {o} again {w}", "add a copy of {o} {w}", "place {o} a second time {w}",
    ),
}  # fmt: skip

JOINTS = (
    "{x} and {y}", "{x}, then {y}", "{x} and then {y}", "{x}, and {y}", "first {x}, then {y}",
    "{x}; {y}", "{x} and also {y}",
)  # fmt: skip

_TO_THE: Mapping[str, tuple[str, ...]] = {
    "top left": ("top left", "upper left", "top left corner"),
    "top right": ("top right", "upper right", "top right corner"),
    "bottom left": ("bottom left", "lower left", "bottom left corner"),
    "bottom right": ("bottom right", "lower right", "bottom right corner"),
    "middle": ("middle", "centre", "center"),
}


class Speaker:
    """Names things, so that one who sees the picture knows which is meant.

    Args:
        names: other names of concepts.
        synonym: how often another name is used, 0..1.
    """

    def __init__(self, names: Mapping[str, Sequence[str]], synonym: float = 0.25) -> None:
        self.names, self.synonym = names, synonym

    def say(self, operation: str, choose: Choices, **words: str) -> str:
        """One wording of an operation with its words filled in."""
        return choose.one(WORDINGS[operation]).format(**words)

    def both(self, one: str, two: str, choose: Choices) -> str:
        """Two instructions in one sentence."""
        return choose.one(JOINTS).format(x=one, y=two)

    def the(self, item: Object, scenes: Sequence[Scene], choose: Choices) -> str | None:
        """A thing that is there: as much as it takes to tell it from all others of the scenes.

        Returns None if name, colour and place together do not do that.
        """
        colour, place = colour_name(item), place_of(item)
        alike = [other for scene in scenes for other in scene.objects if other != item]
        alike = [other for other in alike if other.concept == item.concept]
        name = self._name(item.concept, choose)
        say_colour = bool(colour) and (choose.chance(0.4) or bool(alike))
        if say_colour:
            name = f"{colour} {without_colour(name)}"
            alike = [other for other in alike if colour_name(other) == colour]
        say_place = bool(place) and bool(alike)
        if say_place:
            alike = [other for other in alike if place_of(other) == place]
        if alike:
            return None
        return f"the {name}" + (f" {choose.one(PLACES[place])}" if say_place else "")

    def a(self, item: Object, choose: Choices) -> str:
        """A thing that is to come, with its colour if it is not its own."""
        name, colour = self._name(item.concept, choose), colour_name(item)
        return article(f"{colour} {without_colour(name)}" if colour else name)

    def where(self, place: str, choose: Choices) -> dict[str, str]:
        """A place in both forms."""
        return {"w": choose.one(PLACES[place]), "p": choose.one(_TO_THE[place])}

    def _name(self, concept: str, choose: Choices) -> str:
        others = self.names.get(concept, ())
        return choose.one(others) if choose.chance(self.synonym) and others else concept
