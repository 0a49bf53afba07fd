"""The training loss of VAR and what is reported about it (https://arxiv.org/abs/2404.02905)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule


def token_losses(logits: Tensor, ids: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy ``(B, L)`` in nats of logits ``(B, L, V)`` for token ids ``(B, L)``."""
    flat = F.cross_entropy(
        logits.flatten(0, 1), ids.flatten(), label_smoothing=label_smoothing, reduction="none"
    )
    return flat.view(ids.shape)


def var_loss(
    logits: Tensor,
    ids: Tensor,
    label_smoothing: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Loss of a batch: summed over positions with ``weights``, averaged over samples.

    Args:
        logits: ``(B, L, V)`` float32.
        ids: token ids ``(B, L)`` of all scales, concatenated coarse to fine.
        label_smoothing: share of the target spread over all codes, 0..1.
        weights: per position ``(L,)``; None is the published ``1 / L``.
    """
    losses = token_losses(logits, ids, label_smoothing)
    return losses.mean() if weights is None else (losses * weights).sum(dim=1).mean()


def position_weights(kind: str, schedule: ScaleSchedule) -> Tensor:
    """Weights ``(L,)`` float64 of the positions of all scales, for :func:`var_loss`.

    ``uniform``: every token alike, together 1. ``equal``: every scale 1, shared by its tokens.
    ``lognorm`` (HMAR, https://arxiv.org/abs/2506.04421, public code): scales by a normal density,
    together 1. The density is that of the relative sides taken in reversed order, so that middle
    scales count most. Scales of one size count alike.

    Raises:
        VarSpacesError: for another kind.
    """
    lengths = torch.tensor(schedule.lengths, dtype=torch.float64)
    if kind == "uniform":
        per_scale = lengths / lengths.sum()
    elif kind == "equal":
        per_scale = torch.ones_like(lengths)
    elif kind == "lognorm":
        sides = lengths.sqrt()
        ratios = (sides / sides[-1]).flip(0)
        # One scale, or scales of one size, have no deviation to measure by.
        deviation = ratios.std() if ratios.unique().numel() > 1 else 1.0
        density = torch.exp(-(((ratios - ratios.mean()) / deviation) ** 2) / 2)
        per_scale = density / density.sum()
    else:
        raise VarSpacesError(f"Unknown loss weights '{kind}': uniform, equal or lognorm.")
    return (per_scale / lengths).repeat_interleave(torch.tensor(schedule.lengths))


@torch.no_grad()
def loss_per_scale(losses: Tensor, schedule: ScaleSchedule) -> Sequence[float]:
    """Mean of per-token losses ``(B, L)`` within every scale."""
    return [losses[:, schedule.span(k)].mean().item() for k in range(schedule.num_scales)]
