"""The refusals a person sees: one line that says what was wrong, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class VarSpacesError(ValueError):
    """Input was refused before any work began. ``str(error)`` is a single line."""


class UnknownName(VarSpacesError):
    """A model, method, class or field name that does not exist."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known word, or an empty string."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean '{by_lower[near[0]]}'?" if near else ""
