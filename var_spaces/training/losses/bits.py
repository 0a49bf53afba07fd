"""The training loss of Infinity and what is reported about it (https://arxiv.org/abs/2412.04431)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.schedule import ScaleSchedule


def bit_losses(logits: Tensor, bits: Tensor) -> Tensor:
    """Cross-entropy ``(B, L)`` in nats, mean over the bits of a token.

    Args:
        logits: ``(B, L, n, 2)`` float32.
        bits: ``(B, L, n)`` in {0, 1}.
    """
    # Two-class cross-entropy depends on the difference of the logits only.
    difference = logits[..., 1] - logits[..., 0]
    losses = F.binary_cross_entropy_with_logits(difference, bits.float(), reduction="none")
    return losses.mean(-1)


def scale_weights(schedule: ScaleSchedule, reweight: bool) -> Tensor:
    """Weight of every token ``(L,)``, with sum 1.

    Args:
        reweight: weights fall with the root of the tokens of a scale, so that coarse scales count;
            else all tokens weigh the same.
    """
    power = -0.5 if reweight else 0.0
    weights = torch.cat([torch.full((n,), float(n) ** power) for n in schedule.lengths])
    return weights / weights.sum()
