"""Elastic depth of VARiant (https://arxiv.org/abs/2511.16546): which blocks run at late scales.

The first ``bridge`` scales run all ``D`` blocks, later ones a sub-network of ``d`` blocks. A block
that a scale skips leaves its tokens as they are and neither reads nor writes its cache.
"""

from __future__ import annotations

from var_spaces.errors import VarSpacesError

SMALLEST = 2  # the first and the last block always run


def sub_network(blocks: int, depth: int) -> tuple[int, ...]:
    """Indices of the ``depth`` blocks that run out of ``blocks``, evenly spread.

    ``floor(i (D - 1) / (d - 1))`` in integers: floats would be off by one for some depths. Sets of
    different depths are not nested in general.

    Raises:
        VarSpacesError: if the depth is not 2..blocks.
    """
    if not SMALLEST <= depth <= blocks:
        raise VarSpacesError(
            f"A sub-network of {depth} blocks cannot be made of {blocks}: take {SMALLEST} to "
            f"{blocks}."
        )
    return tuple(i * (blocks - 1) // (depth - 1) for i in range(depth))
