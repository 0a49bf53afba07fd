"""One image of a suite: what is asked for, and what it is checked against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from var_spaces.validation import FrozenDict


@dataclass(frozen=True)
class Item:
    """One image of a suite.

    Attributes:
        index: its number; with the suite's seed it decides the noise.
        inputs: of the suite's task.
        facts: what metrics check it against: ``caption``, ``class``, ``style``, ...
    """

    index: int
    inputs: Mapping[str, Any]
    facts: Mapping[str, Any] = FrozenDict()
