"""Frozen pairs of editing by instruction: their pictures, and the truth about them.

``edit_sources.webp`` holds the sources of ``assets/atlas/edit_pairs.json``, 64 px each, 24 in a
row: hashes of pixels name them in specs, and a renderer may round differently on another machine.
Targets and masks, which only measure, are drawn from the records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from var_spaces.evaluators.edits import Pair, read_pairs
from var_spaces.pictures import digest, read

if TYPE_CHECKING:
    import numpy as np

SHEET = Path(__file__).parent / "edit_sources.webp"
SIDE, ACROSS = 64, 24


@lru_cache(maxsize=1)
def pairs() -> Sequence[Pair]:
    """All pairs, in the order of the sheet."""
    return tuple(read_pairs())


@lru_cache(maxsize=1)
def sources() -> np.ndarray:
    """Pictures before, ``(N, 64, 64, 3)`` uint8."""
    import numpy as np

    sheet = np.asarray(read(SHEET, "The sheet of pairs").convert("RGB"))
    rows = sheet.reshape(-1, SIDE, ACROSS, SIDE, 3).swapaxes(1, 2)
    return np.ascontiguousarray(rows.reshape(-1, SIDE, SIDE, 3)[: len(pairs())])


@lru_cache(maxsize=1)
def hashes() -> Sequence[str]:
    """Content hash of every source."""
    return tuple(digest(pixels) for pixels in sources())


@lru_cache(maxsize=1)
def pictures() -> Mapping[str, np.ndarray]:
    """Sources by content hash, as tasks take them."""
    return dict(zip(hashes(), sources(), strict=True))


@lru_cache(maxsize=1)
def truth() -> tuple[np.ndarray, np.ndarray]:
    """Pictures after, ``(N, 64, 64, 3)`` uint8, and where they may differ, ``(N, 64, 64)`` bool."""
    from var_spaces.training.data.atlas import Atlas
    from var_spaces.training.data.frozen_edits import pictures_of

    _, targets, masks = pictures_of(Atlas.load(), pairs())
    return targets, masks
