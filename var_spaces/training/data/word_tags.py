"""What a caption says of the words that name a thing: where it stands, its colour, how many.

Nothing else is needed to know it than the caption, so a reader of text can learn it without errors
that are nobody's fault, and from text alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from var_spaces.evaluators.claims import POSITIONS, Caption, Thing
from var_spaces.training.data.captions import Written
from var_spaces.training.data.palette import HUES, INKS

COLOURS = (None, *dict.fromkeys((*HUES, *INKS)))
# Values of each tag; 0 is not said. Columns and rows go from left to right and from top to bottom.
TAGS = {"column": 4, "row": 4, "colour": len(COLOURS), "count": 3}
_RELATIONS = {"left of": 0, "above": 1}


def thing_tags(caption: Caption) -> list[tuple[int, ...]]:
    """For every thing of a caption a value of each of ``TAGS``."""
    return [
        (*_place(caption, number, thing), COLOURS.index(thing.colour), thing.count - 1)
        for number, thing in enumerate(caption.things)
    ]


def _place(caption: Caption, number: int, thing: Thing) -> tuple[int, int]:
    if thing.place:
        column, row = POSITIONS[thing.place]
        return column + 1, row + 1
    found = [0, 0]
    if caption.relation:
        found[_RELATIONS[caption.relation]] = 1 if number == 0 else 3
    return found[0], found[1]


def token_tags(
    written: Written, offsets: Sequence[tuple[int, int]]
) -> list[tuple[int, tuple[int, ...]]]:
    """Numbers of the tokens that name things, each with the tags of its thing.

    Args:
        offsets: start and end of every token in the caption; special tokens are empty.
    """
    text = written.caption.text
    found = {}
    for phrase, tags in zip(written.phrases, thing_tags(written.caption), strict=True):
        start = text.find(phrase)
        for number, (first, last) in enumerate(offsets):
            if start <= first < last <= start + len(phrase):
                found.setdefault(number, tags)
    return list(found.items())
