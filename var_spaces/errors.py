"""The refusals a person sees: one line that says what was wrong, what is allowed and what to do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher


class VarSpacesError(ValueError):
    """Input was refused before any work began. ``str(error)`` is a single printable line."""

    def __str__(self) -> str:
        return printable(super().__str__())


class NotHere(VarSpacesError):
    """Nothing is wrong, but a file must be made or fetched first; the line says how."""


class UnknownName(VarSpacesError):
    """A model, method, class or field name that does not exist."""


class InputError(VarSpacesError):
    """What a person is to give is missing, or given twice: a sentence that needs none before it.

    Args:
        fields: that are wanted, each with those that would do instead: ``[["mask", "rectangle"]]``.
    """

    def __init__(self, said: str, fields: Sequence[Sequence[str]] = ()) -> None:
        super().__init__(said)
        self.fields = tuple(map(tuple, fields))

    def given_as(self, spell: Callable[[str], str]) -> InputError:
        """The same, and how to give the fields there: ``--mask FILE``, ``mask=...``."""
        if not self.fields:
            return self
        every = " and ".join(" or ".join(map(spell, one)) for one in self.fields)
        return InputError(f"{str(self).removesuffix('.')} ({every}).", self.fields)


JOINERS = "\u200c\u200d"  # parts of letters and emoji


def printable(text: str) -> str:
    """Text of strangers on one line: no control character reaches a terminal.

    Line ends and tabs become spaces, escapes and marks that turn the direction of text become "?".
    """
    if text.isprintable():
        return text
    return "".join(map(_printable, text))


def _printable(char: str) -> str:
    if char.isprintable() or char in JOINERS:
        return char
    return " " if char.isspace() and unicodedata.category(char) != "Cf" else "?"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known word, or an empty string.

    Near is what differs by few letters, or has the word as one of its words.
    """
    found = max(((_likeness(word.lower(), name.lower()), name) for name in known), default=(0, ""))
    return f" Did you mean '{found[1]}'?" if found[0] else ""


def _likeness(word: str, name: str) -> float:
    """From 0 (something else) to 1 (the same)."""
    if not word or not name:
        return 0
    lengths = len(word) + len(name)
    if abs(len(word) - len(name)) > max(2, max(len(word), len(name)) // 3) and word not in name:
        return 0  # far too long or short; spares the comparison
    same = sum(block.size for block in SequenceMatcher(None, word, name).get_matching_blocks())
    few = lengths - 2 * same <= max(2, max(len(word), len(name)) // 3)
    return 2 * same / lengths if few or word in re.split(r"[\s_.-]+", name) else 0
