"""The loss of VAR: its weights, and what is reported about it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from var_spaces.schedule import ScaleSchedule
from var_spaces.training.losses.tokens import (
    loss_per_scale,
    position_weights,
    token_losses,
    var_loss,
)

SCHEDULE = ScaleSchedule.square((1, 2, 3))


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, SCHEDULE.total, 7), torch.randint(7, (2, SCHEDULE.total))


def test_position_weights(batch):
    logits, ids = batch
    uniform = torch.full((SCHEDULE.total,), 1 / SCHEDULE.total)
    torch.testing.assert_close(var_loss(logits, ids, weights=uniform), var_loss(logits, ids))
    first_only = torch.zeros(SCHEDULE.total)
    first_only[0] = 1
    expected = token_losses(logits, ids)[:, 0].mean()
    torch.testing.assert_close(var_loss(logits, ids, weights=first_only), expected)
    equal = position_weights("equal", SCHEDULE).split(SCHEDULE.lengths)
    assert [part.sum().item() for part in equal] == pytest.approx([1, 1, 1])
    assert all(part.unique().numel() == 1 for part in equal)


@pytest.mark.parametrize("sides", [(4,), (2, 2), (3, 3, 3, 3)])
def test_lognorm_of_scales_of_one_size_is_uniform(sides):
    schedule = ScaleSchedule.square(sides)
    found = position_weights("lognorm", schedule)
    torch.testing.assert_close(found, position_weights("uniform", schedule))


def test_loss_of_every_scale(batch):
    losses = token_losses(*batch)
    per_scale = loss_per_scale(losses, SCHEDULE)
    mean = sum(n * loss for n, loss in zip(SCHEDULE.lengths, per_scale, strict=True))
    assert mean / SCHEDULE.total == pytest.approx(losses.mean().item(), rel=1e-5)


def test_training_code_needs_no_pydantic():
    """A training machine has torch, numpy, Pillow and safetensors only."""
    code = (
        "import sys; sys.modules['pydantic'] = None; "
        "import var_spaces.backbones.var, var_spaces.training.losses.tokens, "
        "var_spaces.training.engine.annealing"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
