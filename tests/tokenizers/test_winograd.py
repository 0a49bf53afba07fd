"""Wide convolutions by Winograd's rule: the same sums, in fewer products."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from var_spaces.tokenizers import winograd
from var_spaces.tokenizers.winograd import Conv3x3


@pytest.mark.parametrize("size", [(32, 16), (17, 31), (9, 64), (23, 24)])
@pytest.mark.parametrize("channels", [(128, 128), (160, 130)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_the_direct_sum(size, channels, layout):
    torch.manual_seed(0)
    conv = Conv3x3(*channels)
    x = torch.randn(2, channels[0], *size).contiguous(memory_format=layout)
    with torch.inference_mode():
        got, want = conv(x), F.conv2d(x, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(got, want, rtol=0, atol=2e-5 * want.abs().max().item())
    assert not torch.equal(got, want)  # else the fast path did not run


def test_strips_of_tiles_do_not_show(monkeypatch):
    torch.manual_seed(1)
    conv, x = Conv3x3(128, 128), torch.randn(1, 128, 40, 40)
    with torch.inference_mode():
        whole = conv(x)
        monkeypatch.setattr(winograd, "TILES_AT_ONCE", 10)
        torch.testing.assert_close(conv(x), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [(64, 128), (128, 16)])
def test_narrow_layers_are_summed_directly(channels):
    conv, x = Conv3x3(*channels), torch.randn(1, channels[0], 32, 32)
    with torch.inference_mode():
        assert torch.equal(conv(x), F.conv2d(x, conv.weight, conv.bias, padding=1))


def test_small_maps_are_summed_directly():
    """Those of the 64 px models: their pictures are what they were before this rule."""
    conv, x = Conv3x3(128, 128), torch.randn(1, 128, 16, 16)
    with torch.inference_mode():
        assert torch.equal(conv(x), F.conv2d(x, conv.weight, conv.bias, padding=1))


def test_training_and_half_precision_are_summed_directly():
    conv, x = Conv3x3(128, 128), torch.randn(1, 128, 32, 32, requires_grad=True)
    direct = F.conv2d(x, conv.weight, conv.bias, padding=1)
    assert torch.equal(conv(x), direct)
    conv(x).sum().backward()
    assert x.grad is not None and conv.weight.grad is not None
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert conv(x).dtype == torch.bfloat16
