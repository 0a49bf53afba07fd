"""Runs of prompts with a model of a visitor's own."""

from __future__ import annotations

from typing import Any

from var_spaces.errors import VarSpacesError
from var_spaces.spec import PARTS, RunSpec
from var_spaces.zoo.cards import Card, get_card

MISSING = "There is nothing of yours to draw with yet: train it first, or bring one back."


def plain(card: Card, prompt: str, seed: int) -> RunSpec:
    """A prompt as a model is meant to draw it."""
    usual: dict[str, Any] = {kind: card.default(kind) for kind in PARTS}
    inputs = {"prompt": prompt}
    return RunSpec(model=card.id, task="text-to-image", inputs=inputs, seed=seed, **usual)


def request(model: str | None, prompt: str, seed: str) -> RunSpec:
    """The run of a prompt.

    Raises:
        VarSpacesError: if there is no model, or something is refused.
    """
    if not model:
        raise VarSpacesError(MISSING)
    text = str(seed).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        raise VarSpacesError(f"The seed '{text[:24]}' must be a whole number from 0 on.")
    return plain(get_card(model, "generator"), prompt, int(text))
