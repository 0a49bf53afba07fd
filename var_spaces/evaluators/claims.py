"""What a prompt claims, what a picture shows, and whether the one is true of the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# Places of a scene, with the position of each across and down.
POSITIONS = {
    "top left": (0, 0),
    "top right": (2, 0),
    "bottom left": (0, 2),
    "bottom right": (2, 2),
    "middle": (1, 1),
}


@dataclass(frozen=True)
class Thing:
    """What a caption says of one object, or of several that are alike.

    ``colour`` is the name of a tint or ink, ``place`` a key of ``POSITIONS``; None is not said.
    """

    concept: str
    count: int = 1
    colour: str | None = None
    place: str | None = None


@dataclass(frozen=True)
class Caption:
    """A caption and its claims; None is not said.

    ``relation`` is "left of" or "above": the first thing to the second.
    """

    text: str
    things: tuple[Thing, ...]
    background: str | tuple[str, str] | None = None
    style: str | None = None
    relation: str | None = None


@dataclass(frozen=True)
class Seen:
    """A thing in a picture; ``colour`` is None where it has its own."""

    concept: str
    style: str
    place: str
    colour: str | None = None


@dataclass(frozen=True)
class Facts:
    """A picture in words; ``background`` holds the top and the bottom colour."""

    things: tuple[Seen, ...]
    background: tuple[str, str]


def checks(caption: Caption, facts: Facts) -> dict[str, bool]:
    """Every kind of claim that the caption makes, and whether it holds.

    Kinds: object, count (exact, where more than one is asked for), colour, place, background,
    style. More things than asked for are no mistake, as in GenEval
    (https://arxiv.org/abs/2310.11513). A claim about a thing holds only if the thing is there.
    """
    return dict(_checks(caption, facts))


def holds(caption: Caption, facts: Facts) -> bool:
    """Whether every claim holds."""
    return all(right for _, right in _checks(caption, facts))


def _checks(caption: Caption, facts: Facts) -> Iterator[tuple[str, bool]]:
    named = [[seen for seen in facts.things if seen.concept == t.concept] for t in caption.things]
    fitting = [
        [seen for seen in group if thing.colour in (None, seen.colour)]
        for thing, group in zip(caption.things, named, strict=True)
    ]
    pairs = list(zip(caption.things, fitting, strict=True))
    yield "object", all(named)
    if any(thing.count > 1 for thing in caption.things):
        yield "count", all(len(group) == thing.count for thing, group in pairs)
    if any(thing.colour for thing in caption.things):
        yield "colour", all(fitting)
    if caption.relation:
        yield "place", _related(*fitting, caption.relation)
    elif any(thing.place for thing in caption.things):
        yield "place", all(_stands(thing.place, group) for thing, group in pairs)
    if caption.background is not None:
        one = caption.background
        yield "background", facts.background == ((one, one) if isinstance(one, str) else tuple(one))
    if caption.style is not None:
        yield "style", all(any(seen.style == caption.style for seen in group) for group in named)


def _stands(place: str | None, group: list[Seen]) -> bool:
    return place is None or any(seen.place == place for seen in group)


def _related(first: list[Seen], second: list[Seen], relation: str) -> bool:
    axis = 0 if relation == "left of" else 1
    return any(POSITIONS[a.place][axis] < POSITIONS[b.place][axis] for a in first for b in second)
