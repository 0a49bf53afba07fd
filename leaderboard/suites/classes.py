"""Items of the embedded class models: things of the sprite atlas in its styles."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.item import Item
from var_spaces.training.data.words import article

STYLES = ("soft", "blob", "glossy", "flat", "round")


def class_items(
    classes: Sequence[str], styles: Sequence[str] = STYLES, each: int = 1
) -> list[Item]:
    """``each`` images of every class in every style, in this order."""
    pairs = [(label, style) for label in classes for style in styles for _ in range(each)]
    return [
        Item(
            index,
            {"class": label, "style": style},
            {"class": label, "style": style, "caption": f"{article(label)} in {style} style"},
        )
        for index, (label, style) in enumerate(pairs)
    ]


def numbered_items(numbers: Sequence[int], each: int = 1) -> list[Item]:
    """``each`` images of classes by their number, for every model that has so many."""
    labels = [number for number in numbers for _ in range(each)]
    return [Item(index, {"class": number}) for index, number in enumerate(labels)]
