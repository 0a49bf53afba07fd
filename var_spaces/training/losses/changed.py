"""Tokens where an edit changes the picture count more.

Most of an edited picture is its source again. Counted alike, the tokens that carry the edit are a
small part of the loss, and a model learns to copy long before it learns to edit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.schedule import ScaleSchedule


def changed_weights(mask: Tensor, schedule: ScaleSchedule, factor: float) -> Tensor:
    """Weights ``(B, L)`` from 1 to ``factor``, by the share of a token's cell that changes.

    Args:
        mask: where pictures change, ``(B, 1, H, W)`` bool.
        factor: weight of a token whose whole cell changes.
    """
    shares = [F.adaptive_avg_pool2d(mask.float(), size).flatten(1) for size in schedule.sizes]
    return 1 + (factor - 1) * torch.cat(shares, dim=1)
