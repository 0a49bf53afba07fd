"""Terms beside the loss of tokens: how pictures look, an adversary, steps that see a part."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from var_spaces.schedule import ScaleSchedule
from var_spaces.training.losses.adversarial import Adversary, PatchDiscriminator, hinge
from var_spaces.training.losses.perceptual import PerceptualLoss
from var_spaces.training.losses.prefixes import PrefixConfig, Prefixes


class Layers(nn.Module):
    """Two layers of features: a picture itself, and one of its pixels."""

    def maps(self, images):
        return [images, 5 * images[..., :1, :1]]


def test_perceptual_distance_is_that_of_lpips_without_weights_per_channel():
    """Unit length per position, summed over channels, mean over positions and layers."""
    one = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    two = torch.tensor([4.0, 3.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2).clone()
    two[:, :, 1] = torch.tensor([30.0, 40.0])[:, None]  # the same direction: no distance
    apart = 2 * 0.2**2
    found = PerceptualLoss(Layers())(one, two)
    assert found.item() == pytest.approx((apart / 2 + apart) / 2, rel=1e-5)


def test_hinge_loss():
    """Of what is beyond the margin on its own side nothing counts."""
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-2.0, 0.0, 1.0])
    assert hinge(real, fake).item() == pytest.approx(((0 + 0.5 + 2) / 3 + (0 + 1 + 2) / 3) / 2)


@pytest.mark.parametrize(("size", "patches"), [(8, 2), (64, 6), (256, 30)])
def test_patches_of_the_discriminator(size, patches):
    """As published from 64 pixels on: 30 x 30 of 256."""
    found = PatchDiscriminator(8, size)(torch.zeros(1, 3, size, size))
    assert found.shape == (1, 1, patches, patches)


def test_what_looks_real_costs_the_tokenizer_less():
    """A logit above 0 means real."""
    torch.manual_seed(0)
    adversary = Adversary.__new__(Adversary)  # its optimiser takes a second to import
    adversary.network = PatchDiscriminator(8, 16)
    one, two = torch.randn(2, 1, 3, 16, 16)
    logits, costs = (
        [look(images).mean().item() for images in (one, two)]
        for look in (adversary.network, adversary.judge)
    )
    assert logits[0] != logits[1]
    assert (logits[0] < logits[1]) == (costs[0] > costs[1])


def test_a_step_reads_what_its_scales_read_and_predict():
    """Inputs are those of all its scales but the first, which begins with the condition."""
    schedule = ScaleSchedule.square((1, 2, 3))
    tokens = torch.arange(2 * 13 * 4).view(2, 13, 4)
    bits = torch.arange(2 * 14 * 4).view(2, 14, 4)
    for scales, length in ((1, 1), (2, 5), (3, 14)):
        inputs, targets = Prefixes(schedule, PrefixConfig()).first(scales, tokens, bits)
        assert torch.equal(inputs, tokens[:, : length - 1])
        assert torch.equal(targets, bits[:, :length])
