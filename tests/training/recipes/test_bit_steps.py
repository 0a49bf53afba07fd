"""What bitwise models are trained by, step by step."""

from __future__ import annotations

import torch

from var_spaces.schedule import ScaleSchedule
from var_spaces.training.losses.bits import bit_losses
from var_spaces.training.recipes.bit_steps import BitStepConfig, BitSteps

SCHEDULE = ScaleSchedule.square((1, 2))


def test_the_loss_of_a_step_counts_tokens_as_they_weigh():
    torch.manual_seed(0)
    steps = BitSteps(SCHEDULE, BitStepConfig(shortest=1), 0, torch.device("cpu"))
    logits, bits = torch.randn(2, 5, 3, 2), torch.randint(0, 2, (2, 5, 3))
    weights = torch.tensor([[1.0, 1, 1, 1, 9], [1.0, 5, 1, 1, 1]])
    losses = bit_losses(logits, bits)
    wanted = (losses * weights).sum() / weights.sum()
    torch.testing.assert_close(steps.loss(logits, bits, weights), wanted)
    torch.testing.assert_close(steps.loss(logits, bits), losses.mean())
