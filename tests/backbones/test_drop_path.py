"""Stochastic depth: whole samples skip branches, and the mean stays."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from var_spaces.backbones.context import drop_path
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.text_features import TextFeatures

CPU = torch.device("cpu")
TINY = InfinityConfig(3, 32, 2, 4, (1, 2), text_dim=16, text_len=8, pool_heads=2)


def test_the_rate_grows_and_the_mean_stays():
    generator = torch.Generator().manual_seed(0)
    kept = drop_path(0.4, 5, 20_000, CPU, generator)
    assert kept.shape == (5, 20_000, 1, 2, 1)
    for block, rate in zip(kept.unbind(), (0, 0.1, 0.2, 0.3, 0.4), strict=True):
        dropped = (block == 0).float().mean((0, 1, 3))
        assert dropped.tolist() == pytest.approx([rate] * 2, abs=0.02)
        assert block.mean().item() == pytest.approx(1, abs=0.02)
        assert block[block > 0].unique().tolist() == pytest.approx([1 / (1 - rate)])
    again = drop_path(0.4, 5, 20_000, CPU, generator.manual_seed(0))
    assert torch.equal(kept, again)


def test_nothing_is_drawn_for_a_rate_of_zero():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert drop_path(0.0, 5, 2, CPU, generator) is None
    assert torch.equal(generator.get_state(), before)


@torch.no_grad()
def test_a_sample_skips_what_is_drawn_for_it():
    torch.manual_seed(0)
    model = Infinity(TINY).eval()
    model.initialise(gate=1, head=1)
    text = TextFeatures.of([torch.randn(5, TINY.text_dim)] * 2)
    length = model.schedule.total - model.schedule.lengths[0]
    tokens = torch.randn(2, length, TINY.latent_dim)
    usual = model(text, tokens)
    generator = torch.Generator().manual_seed(3)
    thin = model(text, tokens, drop_path=0.6, generator=generator)
    kept = drop_path(0.6, TINY.depth, 2, CPU, generator.manual_seed(3))[:, :, 0, :, 0]
    assert (kept == 0).any(0).any(1).all() and not torch.equal(kept[:, 0], kept[:, 1])
    assert not torch.equal(thin, usual)
    for sample in range(2):  # a branch counts as much as its last layer gives
        scaled = deepcopy(model)
        for block, factors in zip(scaled.layers, kept[:, sample], strict=True):
            for last, factor in zip((block.sa.proj, block.ffn.fc2), factors, strict=True):
                last.weight.mul_(factor), last.bias.mul_(factor)
        torch.testing.assert_close(scaled(text, tokens)[sample], thin[sample])
    assert torch.equal(model(text, tokens), usual)
