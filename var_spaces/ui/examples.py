"""Runs to click on: good ones of the embedded models, else a spread of what a model knows."""

from __future__ import annotations

from var_spaces.api import make_spec
from var_spaces.spec import RunSpec
from var_spaces.zoo.cards import Card

# (class, style, seed)
CHOSEN = (
    ("red apple", "soft", 7),
    ("sailboat", "flat", 3),
    ("panda", "glossy", 11),
    ("sunflower", "round", 5),
    ("castle", "blob", 2),
    ("butterfly", "soft", 21),
)


def examples(card: Card) -> list[RunSpec]:
    """Up to six runs of a model that names classes."""
    known = [
        (label, style, seed)
        for label, style, seed in CHOSEN
        if label in card.classes and style in card.styles
    ]
    return [
        make_spec(card.id, class_=label, style=style, seed=seed)[0]
        for label, style, seed in known or _spread(card)
    ]


def _spread(card: Card) -> list[tuple[str, str | None, int]]:
    """Classes evenly spaced over the list, with styles in turn."""
    step = max(1, -(-len(card.classes) // len(CHOSEN)))
    styles = card.styles or (None,)
    return [(label, styles[i % len(styles)], i + 1) for i, label in enumerate(card.classes[::step])]
