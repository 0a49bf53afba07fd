"""Decoding to pixels, in half precision too."""

from __future__ import annotations

import numpy as np
import torch

from tests import tiny
from var_spaces import cpu
from var_spaces.decoding.loop import pixels
from var_spaces.decoding.loop.pixels import decode, to_uint8


def latents(count):
    torch.manual_seed(0)
    return torch.randn(count, tiny.shared()[0].latent_dim, 4, 4)


def test_pixels_are_rounded_to_the_nearest_and_stay_in_their_range():
    levels = torch.arange(256.0)
    for off in (-0.4, 0.0, 0.4):
        images = ((levels + off) / 127.5 - 1).expand(1, 3, 1, 256)
        assert (to_uint8(images)[0, 0, :, 0] == levels.numpy()).all()
    assert to_uint8(torch.tensor([-3.0, 3.0]).expand(1, 3, 1, 2))[0, 0, :, 0].tolist() == [0, 255]


@torch.no_grad()
def test_half_precision_moves_pixels_a_little():
    tokenizer, _ = tiny.shared()
    exact, half = (decode(tokenizer, latents(2), half).astype(int) for half in (False, True))
    assert 0 < np.abs(exact - half).max() <= 3


class Overflowing:
    """Has no numbers in half precision."""

    def decode(self, f_hat):
        wide = torch.full((len(f_hat), 3, 8, 8), 0.5)
        return wide * torch.nan if torch.is_autocast_enabled("cpu") else wide


def test_what_overflows_is_decoded_in_float32():
    assert (decode(Overflowing(), latents(1), half=True) == 191).all()


def test_small_pictures_that_share_a_batch_on_a_cpu_are_decoded_together():
    seen = []

    class Decoder:
        def decode(self, f_hat):
            seen.append(len(f_hat))
            return torch.zeros(len(f_hat), 3, 2, 2)

    for side, want in ((8, [8, 3]), (16, [2] * 5 + [1]), (64, [1] * 11)):
        for allowed, sizes in ((True, want), (False, [1] * 11)):
            seen.clear()
            with cpu.any_order(allowed):
                decode(Decoder(), torch.zeros(11, 1, side, side))
            assert seen == sizes


def test_large_pictures_are_decoded_few_at_once(monkeypatch):
    seen = []

    class Decoder:
        def decode(self, f_hat):
            seen.append(len(f_hat))
            return torch.zeros(len(f_hat), 3, 2, 2)

    monkeypatch.setattr(pixels, "TOGETHER", 64)
    for side, want in ((4, [4, 1]), (8, [1] * 5), (16, [1] * 5)):
        seen.clear()
        far = torch.zeros(5, 1, side, side)
        monkeypatch.setattr(pixels, "_is_here", lambda f_hat: False)
        decode(Decoder(), far)
        assert seen == want
