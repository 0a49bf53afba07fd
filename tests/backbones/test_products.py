"""Wide linear layers are multiplied by oneDNN; all others as torch does."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from var_spaces import cpu
from var_spaces.backbones.products import Linear, gelu, product


@pytest.mark.parametrize("shape", [(1, 512), (2, 7, 600), (2, 3, 5, 512)])
@pytest.mark.parametrize("bias", [True, False])
def test_wide_products_are_the_same_sums(shape, bias):
    torch.manual_seed(0)
    x, layer = torch.randn(shape), torch.nn.Linear(shape[-1], 520, bias)
    with torch.inference_mode():
        got = product(x, layer.weight, layer.bias)
        want = F.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


def test_slices_of_a_batch_may_be_anywhere_in_memory():
    torch.manual_seed(1)
    x, layer = torch.randn(4, 600, 9).transpose(1, 2)[::2], Linear(600, 600)
    with torch.inference_mode():
        torch.testing.assert_close(
            layer(x), F.linear(x, layer.weight, layer.bias), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("widths", [(256, 1024), (1024, 16)])
def test_narrow_layers_are_those_of_torch(widths):
    x, layer = torch.randn(3, widths[0]), Linear(*widths)
    with torch.inference_mode():
        assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))


def test_where_sums_may_have_any_order_narrow_layers_take_the_activation_along():
    torch.manual_seed(2)
    x, layer = torch.randn(2, 70, 256), Linear(256, 384)
    want = F.gelu(F.linear(x, layer.weight, layer.bias), approximate="tanh")
    with torch.inference_mode():
        assert torch.equal(gelu(layer, x), want)
        with cpu.any_order(False):
            assert torch.equal(gelu(layer, x), want)
        with cpu.any_order(True):
            torch.testing.assert_close(gelu(layer, x), want, rtol=0, atol=1e-5)
            assert not torch.equal(gelu(layer, x), want)  # else the fast path did not run
            little = Linear(256, 16)
            assert torch.equal(little(x), F.linear(x, little.weight, little.bias))
        assert torch.equal(gelu(layer, x), want)


def test_a_layer_of_another_kind_computes_as_it_does():
    class Other(Linear):
        def forward(self, x):
            return x + 1

    x = torch.randn(3, 512)
    with torch.inference_mode(), cpu.any_order(True):
        assert torch.equal(gelu(Other(512, 512), x), F.gelu(x + 1, approximate="tanh"))


def test_training_and_half_precision_are_those_of_torch():
    x, layer = torch.randn(3, 512, requires_grad=True), Linear(512, 512)
    out = layer(x)
    assert torch.equal(out, F.linear(x, layer.weight, layer.bias))
    out.sum().backward()
    assert x.grad is not None and layer.weight.grad is not None
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    with torch.inference_mode():
        assert layer.bfloat16()(x.bfloat16()).dtype == torch.bfloat16
