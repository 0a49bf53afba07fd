"""What the owner of an installation offers, by ``VAR_SPACES_OFFER``."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

from var_spaces.zoo.card import Card
from var_spaces.zoo.places import is_personal

OFFER_VARIABLE = "VAR_SPACES_OFFER"


def may_use(card: Card) -> bool:
    """Whether the owner of this installation lets the model be used; one of a visitor's own as its
    base."""
    wanted = patterns()
    name = card.base if is_personal(card.folder) else card.id
    return not wanted or any(fnmatchcase(name, pattern) for pattern in wanted)


def patterns() -> list[str]:
    """Names in ``VAR_SPACES_OFFER``; ``*`` stands for any letters."""
    return [p.strip() for p in os.environ.get(OFFER_VARIABLE, "").split(",") if p.strip()]
