"""Stochastic depth: whole samples skip branches, and the mean stays."""

from __future__ import annotations

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
def test_a_sample_skips_what_its_factors_say():
    torch.manual_seed(0)
    model = Infinity(TINY).eval()
    model.initialise(gate=1, head=1)
    text = TextFeatures.of([torch.randn(5, TINY.text_dim)] * 2)
    length = model.schedule.total - model.schedule.lengths[0]
    tokens = torch.randn(2, length, TINY.latent_dim)
    usual = model(text, tokens)
    kept = torch.ones(TINY.depth, 2, 1, 2, 1)
    assert torch.equal(model(text, tokens, kept=kept), usual)
    kept[:, 1] = 0
    thin = model(text, tokens, kept=kept)
    assert torch.equal(thin[0], usual[0]) and not torch.equal(thin[1], usual[1])
    for block in model.layers:  # branches that give nothing are branches that are skipped
        for last in (block.sa.proj, block.ffn.fc2):
            last.weight.zero_(), last.bias.zero_()
    torch.testing.assert_close(model(text, tokens)[1], thin[1])
