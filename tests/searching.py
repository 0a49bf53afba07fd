"""What a search looks at in tests: how red an image is, and its colours in sixteen places."""

from __future__ import annotations

import torch

from var_spaces.decoding.search.scoring import Features, Reward
from var_spaces.methods import register

ON = {"reward": "test-redness", "features": "test-blocks"}
calls: list[int] = []  # images of every call of the reward


@register
class Redness(Reward):
    """Mean of the red channel, 0..1."""

    name = "test-redness"
    title = "For tests"

    def load(self, asked, device):
        def score(images, which):
            assert len(which) == len(images)
            calls.append(len(images))
            return torch.from_numpy(images[..., 0].mean((1, 2)) / 255)

        return score


@register
class Blocks(Features):
    """Mean colours of four by four blocks."""

    name = "test-blocks"
    title = "For tests"

    def load(self, device):
        def describe(images):
            pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
            return torch.nn.functional.adaptive_avg_pool2d(pixels, 4).flatten(2).mT

        return describe
