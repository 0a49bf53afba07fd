"""Losses of ARBooth: coarse scales count full, and a frozen copy says what a class looks like.

Fine-Tuning Visual Autoregressive Models for Subject-Driven Generation
(https://arxiv.org/abs/2504.02612, sections 4.2 and 4.3, and the public code).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.schedule import ScaleSchedule
from var_spaces.training.losses.bits import bit_losses

COARSE = 8  # scales of full weight; fixed in the public code, whatever the schedule


def coarse_weights(schedule: ScaleSchedule, coarse: int = COARSE, fine: float = 0.5) -> Tensor:
    """Weight of every token ``(L,)``: 1 in the first scales, less in the fine ones.

    Args:
        coarse: number of scales that count full.
        fine: weight of the tokens of all others, 0..1.
    """
    per_scale = torch.tensor([1.0 if k < coarse else fine for k in range(schedule.num_scales)])
    return per_scale.repeat_interleave(torch.tensor(schedule.lengths))


def instance_loss(logits: Tensor, bits: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of the subject's pictures in nats per bit.

    The sum over tokens is divided by their number, not by the sum of the weights, as published: so
    a smaller weight makes the loss smaller.

    Args:
        logits: ``(B, L, n, 2)``.
        bits: ``(B, L, n)`` in {0, 1}.
        weights: of the tokens, ``(L,)``; None is 1 each.
    """
    losses = bit_losses(logits, bits)
    return (losses if weights is None else losses * weights).mean()


def prior_loss(
    teacher: Tensor, student: Tensor, *, temperature: float = 1.0, joint: bool = True
) -> Tensor:
    """How far the student has moved from the teacher on the class prompt, in nats per token.

    ``KL(teacher || student)``, without the factor ``temperature ** 2`` of other distillation.

    Args:
        teacher, student: logits ``(B, L, n, 2)``.
        temperature: that both are divided by, above 0.
        joint: one distribution over all ``2 n`` logits of a token, as the public code has it. The
            logits of a bit are a distribution of their own, and without this they are taken so:
            the divergence is then the mean over the bits.
    """
    teacher, student = teacher / temperature, student / temperature
    if joint:
        teacher, student = teacher.flatten(2), student.flatten(2)
    divergence = F.kl_div(
        student.log_softmax(-1), teacher.log_softmax(-1), reduction="none", log_target=True
    ).sum(-1)
    return divergence.mean()


def hard_prior_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """Cross-entropy of the student with the teacher's likeliest bits, in nats per bit.

    Args:
        teacher, student: logits ``(B, L, n, 2)``.
    """
    return bit_losses(student, teacher.argmax(-1)).mean()
