"""The published VAR recipe: loss weights, label drop, metrics, schedules, decay groups."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.training.engine.schedules import DECAYS, decay, lr_factor, weight_decay
from var_spaces.training.losses.tokens import (
    drop_labels,
    loss_per_scale,
    token_losses,
    token_metrics,
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


def test_metrics(batch):
    logits, ids = batch
    logits[:, -9:] = 100 * torch.nn.functional.one_hot(ids[:, -9:], 7)
    metrics = token_metrics(logits, ids, SCHEDULE)
    assert metrics["accuracy_last"] == 1
    assert metrics["loss_last"] == pytest.approx(0, abs=1e-6)
    assert 0 < metrics["accuracy"] < 1
    per_scale = loss_per_scale(token_losses(logits, ids), SCHEDULE)
    mean = sum(n * loss for n, loss in zip(SCHEDULE.lengths, per_scale, strict=True))
    assert mean / SCHEDULE.total == pytest.approx(metrics["loss"], rel=1e-5)


def test_label_drop():
    labels = torch.arange(4).repeat(5000)
    generator = torch.Generator().manual_seed(0)
    dropped = drop_labels(labels, null_label=9, rate=0.1, generator=generator)
    assert (dropped == 9).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert ((dropped == labels) | (dropped == 9)).all()
    assert torch.equal(drop_labels(labels, 9, 0.0), labels)
    assert (drop_labels(labels, 9, 1.0) == 9).all()


@pytest.mark.parametrize("name", [*DECAYS, "lin0.8", "lin.5"])
def test_learning_rate_rises_and_then_never_rises_again(name):
    factors = [lr_factor(name, t, 200, warmup=20, end=0.01) for t in range(201)]
    assert factors[0] == 0.005
    assert factors[20] == factors[:21][-1] == max(factors) == 1
    assert factors[-1] == pytest.approx(0.01)
    assert factors[20:] == sorted(factors[20:], reverse=True)
    assert lr_factor(name, 300, 200, warmup=20, end=0.01) == pytest.approx(0.01)


@pytest.mark.parametrize("name", ["linear", "lin1.5", "lin0.0", ""])
def test_unknown_schedule_is_refused(name):
    with pytest.raises(VarSpacesError, match="choose cos, lin, lin0"):
        decay(name)


def test_runs_without_length():
    assert lr_factor("cos", 0, 0, warmup=0, end=0.1) == pytest.approx(0.1)
    assert weight_decay(0, 0, first=0.05, last=0.08) == 0.08
    assert weight_decay(50, 100, first=0.0, last=1.0) == pytest.approx(0.5)
    assert math.isclose(weight_decay(0, 100, first=0.05, last=0.08), 0.05)


def test_training_code_needs_no_pydantic():
    """A training machine has torch, numpy, Pillow and safetensors only."""
    code = (
        "import sys; sys.modules['pydantic'] = None; "
        "import var_spaces.backbones.var, var_spaces.training.losses.tokens, "
        "var_spaces.training.engine.schedules, var_spaces.training.engine.param_groups"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
