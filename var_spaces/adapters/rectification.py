"""Rectification of learned style rows: what names the content is projected out of them.

CSD-VAR (https://arxiv.org/abs/2507.13984, SVD-based rectification): features of many names of the
content span a subspace; a style row loses its part in it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError


def principal_directions(features: Tensor, rank: int, center: bool = False) -> Tensor:
    """The ``rank`` strongest directions of features ``(n, D)``: orthonormal rows ``(rank, D)``.

    Args:
        features: one row per name of the content.
        center: take the mean of all rows away first. Published code does not, so that its first
            direction is mostly what all texts have in common.

    Raises:
        VarSpacesError: if there are too few features for the rank.
    """
    if center:
        features = features - features.mean(0)
    known = int(torch.linalg.matrix_rank(features))
    if not 1 <= rank <= known:
        raise VarSpacesError(
            f"rank = {rank}, but {len(features)} names of the content span {known} directions: "
            f"take 1 to {known}, or give more names."
        )
    _, _, directions = torch.linalg.svd(features, full_matrices=False)
    return directions[:rank]


def projector(directions: Tensor) -> Tensor:
    """Projection ``P = V_r^T V_r (D, D)`` onto directions: symmetric, idempotent, of their rank."""
    return directions.mT @ directions


def rectify(rows: Tensor, projection: Tensor) -> Tensor:
    """Rows ``(..., D)`` without their part in the content: ``e - e P``."""
    return rows - rows @ projection
