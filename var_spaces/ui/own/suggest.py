"""Words for a picture, as the scene parser that comes with the project reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from var_spaces.errors import VarSpacesError

if TYPE_CHECKING:
    import numpy as np

SURE = 0.9  # probability from which on a word is suggested: it knows drawings, and photographs not


def suggested(found: Sequence[np.ndarray]) -> dict[str, str]:
    """ "concept" and "style" of what the pictures show, those that the parser is sure of."""
    from var_spaces.evaluators.parser import embedded_parser
    from var_spaces.pictures import fit

    try:
        parser = embedded_parser()
    except VarSpacesError:  # an installation without it
        return {}
    squares = [fit(one, min(one.shape[:2]), min(one.shape[:2])) for one in found]
    return {kind: word for kind, (word, share) in parser.surest(squares).items() if share >= SURE}
