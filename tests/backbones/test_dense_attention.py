"""Attention by plain products gives what the fused kernel gives, gradients too."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from var_spaces.backbones import dense_attention as module
from var_spaces.backbones.dense_attention import dense_attention

SHAPE, KEYS = (2, 3, 5, 8), 7


def inputs(seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = (SHAPE[2], KEYS, KEYS)
    return [torch.randn(*SHAPE[:2], n, SHAPE[3], generator=generator) for n in sizes]


def padded():
    mask = torch.ones(SHAPE[0], 1, 1, KEYS, dtype=torch.bool)
    mask[1, ..., 4:] = False
    return mask


@pytest.mark.parametrize("mask", [None, padded()])
@pytest.mark.parametrize("scale", [None, 1.0, 0.3])
def test_products_give_the_values_and_gradients_of_the_fused_kernel(mask, scale):
    own = [x.bfloat16().requires_grad_() for x in inputs()]
    exact = [x.detach().float().requires_grad_() for x in own]
    out = dense_attention(*own, mask, scale)
    assert out.grad_fn.name().startswith("_Products")
    true = F.scaled_dot_product_attention(*exact, attn_mask=mask, scale=scale)
    torch.testing.assert_close(out.float(), true, atol=2e-2, rtol=2e-2)
    weights = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    out.backward(weights.bfloat16())
    true.backward(weights.bfloat16().float())
    for x, y in zip(own, exact, strict=True):
        torch.testing.assert_close(x.grad.float(), y.grad, atol=4e-2, rtol=4e-2)


def test_a_query_that_looks_nowhere_gets_zeros():
    mask = torch.ones(SHAPE[2], KEYS, dtype=torch.bool)
    mask[1] = False
    q, k, v = (x.bfloat16().requires_grad_() for x in inputs())
    out = dense_attention(q, k, v, mask)
    assert not out[:, :, 1].any()
    assert out[:, :, 0].any()
    out.sum().backward()
    assert not q.grad[:, :, 1].any()
    assert torch.isfinite(k.grad).all()


def test_drawing_and_full_precision_stay_with_the_fused_kernel(monkeypatch):
    def never(*args):
        raise AssertionError

    monkeypatch.setattr(module._Products, "apply", never)
    dense_attention(*[x.requires_grad_() for x in inputs()])
    dense_attention(*[x.bfloat16() for x in inputs()])
    with torch.no_grad():
        dense_attention(*[x.bfloat16().requires_grad_() for x in inputs()])


def test_long_sequences_do_not_keep_their_probabilities(monkeypatch):
    monkeypatch.setattr(module, "MAX_KEPT", SHAPE[0] * SHAPE[1] * SHAPE[2] * KEYS - 1)
    out = dense_attention(*[x.bfloat16().requires_grad_() for x in inputs()])
    assert not out.grad_fn.name().startswith("_Products")
