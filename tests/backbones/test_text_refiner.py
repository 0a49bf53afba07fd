"""Blocks that read the text first: fresh ones change nothing, trained ones tell word from word."""

from __future__ import annotations

import pytest
import torch

from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.backbones.text_refiner import TextRefiner
from var_spaces.errors import VarSpacesError

SIZES = {"depth": 2, "width": 32, "heads": 2, "latent_dim": 3, "text_dim": 24, "text_len": 6}
SIZES |= {"patch_nums": (1, 2, 3), "pool_heads": 2, "levels": 5}


@pytest.fixture
def refiner() -> TextRefiner:
    torch.manual_seed(0)
    return TextRefiner(24, 32, 2, 64, depth=2, eps=1e-6).eval().requires_grad_(False)


def prompts(lengths=(3, 1, 5)) -> TextFeatures:
    return TextFeatures(torch.randn(sum(lengths), 24), lengths)


def test_a_fresh_refiner_changes_nothing():
    torch.manual_seed(0)
    plain = Infinity(InfinityConfig(**SIZES)).eval()
    refined = Infinity(InfinityConfig(**SIZES, text_blocks=2)).eval()
    missing = refined.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert all(key.startswith("text_refiner.") for key in missing)
    text, tokens = prompts(), torch.randn(3, 13, 3)
    assert torch.equal(refined(text, tokens), plain(text, tokens))
    refined.text_refiner.leave.weight.data.normal_()
    assert not torch.equal(refined(text, tokens), plain(text, tokens))


def test_prompts_of_a_batch_do_not_see_each_other(refiner):
    text = prompts()
    together = refiner(text)
    assert together.lengths == text.lengths
    for alone, row in zip(text.prompts(), together.prompts(), strict=True):
        torch.testing.assert_close(refiner(TextFeatures.of([alone])).packed, row)


def test_a_token_says_what_stands_beside_it(refiner):
    """The same words in another order are read otherwise, each by itself as well."""
    text = prompts((4,))
    turned = TextFeatures(text.packed.flip(0), (4,))
    back = refiner(turned).packed.flip(0)
    assert not torch.allclose(back, refiner(text).packed, atol=1e-3)


def test_gradients_reach_the_refiner_and_the_empty_text():
    torch.manual_seed(0)
    model = Infinity(InfinityConfig(**SIZES, text_blocks=1))
    dropped = torch.tensor([True, False, False])
    model(prompts(), torch.randn(3, 13, 3), dropped=dropped).square().sum().backward()
    assert model.text_refiner.leave.weight.grad.abs().sum() > 0
    assert model.cfg_uncond.grad[:3].abs().sum() > 0


def test_published_models_have_none():
    assert not any("refiner" in key for key in Infinity(InfinityConfig(**SIZES)).state_dict())
    with pytest.raises(VarSpacesError, match="text_blocks is -1"):
        InfinityConfig(**SIZES, text_blocks=-1)
