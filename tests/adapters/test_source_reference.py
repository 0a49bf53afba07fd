"""Positions of VAREdit as they are written about, and masks of the aligned reference."""

from __future__ import annotations

import pytest
import torch

from var_spaces.adapters.source_reference import (
    aligned_positions,
    pooled,
    published_positions,
)
from var_spaces.aspect import TEMPLATES, published
from var_spaces.backbones.rope import angles, rotary
from var_spaces.schedule import ScaleSchedule


def at(rows, columns, dim=8):
    """Cosines of positions ``(row, column)``, all pairs of two lists."""
    return angles(torch.tensor(rows).float(), torch.tensor(columns).float(), dim).cos()


def test_at_1024_px_the_source_lies_beside_the_target():
    schedule = TEMPLATES[1.0]
    source, target = published_positions(schedule, 8, "cpu")
    assert torch.equal(source.cos, at(range(64, 128), range(64, 128)))
    whole = rotary(schedule, 8)
    assert torch.equal(target.cos, whole.cos) and torch.equal(target.sin, whole.sin)


def test_at_512_px_all_stand_in_the_block_of_the_source():
    """Token n of source and target together is at row 64 + n // 64 and column 64 + n % 64."""
    schedule = published("0.25M")
    source, target = published_positions(schedule, 8, "cpu")
    block = at(range(64, 128), range(64, 128))
    assert source.cos.shape[0] == 1024 and target.cos.shape[0] == schedule.total
    both = torch.cat((source.cos, target.cos))
    assert torch.equal(both, block[: len(both)])


@pytest.mark.parametrize("ratio", [1.0, 0.75])
def test_aligned_positions_follow_the_picture(ratio):
    """At any size, the source is as far from the target as the reference grid is large."""
    schedule = published("0.25M", ratio)
    source, target = aligned_positions(schedule, 8, 64, "cpu")
    height, width = TEMPLATES[ratio].last
    rows = [height + round(height / schedule.last[0] * n) for n in range(schedule.last[0])]
    columns = [width + round(width / schedule.last[1] * n) for n in range(schedule.last[1])]
    assert torch.equal(source.cos, at(rows, columns))
    assert torch.equal(target.cos, rotary(schedule, 8).cos)


def test_pooling_averages_every_window():
    keys = torch.randn(2, 3, 12, 5)
    assert torch.equal(pooled(keys, (4, 3), (4, 3)), keys)
    torch.testing.assert_close(pooled(keys, (4, 3), (1, 1)), keys.mean(2, keepdim=True))
    maps = keys.unflatten(2, (4, 3))
    torch.testing.assert_close(
        pooled(keys, (4, 3), (2, 3)).unflatten(2, (2, 3)), maps.unflatten(2, (2, 2)).mean(3)
    )


def test_a_scale_sees_its_own_reference_only():
    from var_spaces.adapters.source_reference import SourceReference

    schedule = ScaleSchedule(((1, 1), (2, 1), (3, 2)))
    k, v = torch.randn(2, 1, 2, 6, 4)
    turn = rotary(schedule, 4)
    reference = SourceReference(schedule, ((k, v),) * 2, turn)
    beside = reference.reference(range(3))
    assert beside.k.shape == (1, 2, schedule.total, 4)
    owner = torch.tensor([0, 1, 1, *[2] * 6])
    assert torch.equal(beside.visible, owner[:, None] == owner)
    for scale in range(3):
        alone = reference.reference(range(scale, scale + 1))
        assert alone.visible is None
        torch.testing.assert_close(alone.k, beside.k[:, :, schedule.span(scale)])
    moved = reference.gather_rows(torch.tensor([0, 0]))
    assert moved.keys_values[1][0].shape[0] == 2
