"""Fine-tuning to a subject gives the numbers of ARBooth's public code (arXiv 2504.02612)."""

from __future__ import annotations

import pytest
import torch

from var_spaces.aspect import published
from var_spaces.schedule import ScaleSchedule
from var_spaces.training.losses.subject import (
    coarse_weights,
    hard_prior_loss,
    instance_loss,
    prior_loss,
)

LOGITS = {"atol": 2e-4, "rtol": 1e-4}
LOSS = {"atol": 1e-5, "rtol": 1e-5}


def schedule_of(sizes) -> ScaleSchedule:
    return ScaleSchedule(tuple(map(tuple, sizes)))


def pairs(logits: torch.Tensor) -> torch.Tensor:
    """``(B, L, 2 n)`` of a fixture as ``(B, L, n, 2)``."""
    return logits.unflatten(-1, (-1, 2))


@pytest.mark.golden("arbooth")
def test_losses(golden):
    given = {key: golden.tensors[f"loss.in.{key}"] for key in ("logits", "teacher_logits")}
    logits, teacher = (pairs(value) for value in given.values())
    student = pairs(golden.tensors["loss.in.student_reg_logits"])
    bits = golden.tensors["loss.in.bits"].long()
    wanted = {
        key.removeprefix("loss.out."): value
        for key, value in golden.tensors.items()
        if key.startswith("loss.out.")
    }
    weights = coarse_weights(schedule_of(golden.spec["config"]["loss_schedule"]))
    assert torch.equal(weights, wanted.pop("token_weights"))
    instance = instance_loss(logits, bits, weights)
    soft = 0.5 * prior_loss(teacher, student)
    found = {
        "instance_weighted": instance,
        "instance_unweighted": instance_loss(logits, bits),
        "prior_soft_T1": soft,
        "prior_soft_T2_lambda1": prior_loss(teacher, student, temperature=2),
        "prior_hard": 0.5 * hard_prior_loss(teacher, student),
        "sum_default": instance + soft,
    }
    assert set(found) == set(wanted)
    for key, value in found.items():
        torch.testing.assert_close(value, wanted[key].squeeze(), **LOSS, msg=lambda m, k=key: k + m)


@pytest.mark.golden("arbooth")
def test_weights_of_published_schedules(golden):
    for name, expected in golden.spec["scale_weights_for_published_schedules"].items():
        preset, ratio = name.split(" h/w=")
        schedule = published(preset, float(ratio))
        weights = coarse_weights(schedule)
        assert list(schedule.lengths) == expected["per_scale_tokens"]
        firsts = [weights[schedule.span(k)] for k in range(schedule.num_scales)]
        assert [part.unique().item() for part in firsts] == expected["per_scale_weight"]
        assert len(weights) == expected["total_tokens"]
        for weight in (1.0, 0.5):
            assert (weights == weight).sum() == expected[f"tokens_weight_{weight}"]


def test_divergence_per_bit_is_that_of_bits():
    """The proper one is the sum over bits of what two coins differ; the joint one is another."""
    teacher, student = torch.randn(2, 2, 3, 5, 2).unbind(0)
    p, q = (torch.distributions.Bernoulli(logits=x[..., 1] - x[..., 0]) for x in (teacher, student))
    expected = torch.distributions.kl_divergence(p, q).mean()
    torch.testing.assert_close(prior_loss(teacher, student, joint=False), expected)
    assert not torch.isclose(prior_loss(teacher, student), expected)
    assert prior_loss(teacher, teacher).item() == pytest.approx(0, abs=1e-7)
