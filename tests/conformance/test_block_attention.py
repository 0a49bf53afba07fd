"""Attention over blocks of tokens: output, log-sum-exp and gradients, both ways of computing it."""

from __future__ import annotations

import pytest
import torch

from var_spaces.backbones.block_attention import (
    block_attend,
    block_mask,
    flex_attention,
    per_block_attention,
)

PATTERNS = ("diagonal", "causal")
pytestmark = pytest.mark.golden("block_sparse_attention")


def case(golden, device="cpu", grad=True):
    """q, k, v, then scale and block sizes."""
    inputs = [golden.tensors[name].to(device).clone().requires_grad_(grad) for name in "qkv"]
    return inputs, golden.spec["config"]["sm_scale"], golden.spec["config"]["block_sizes"]


def check(golden, pattern, out, inputs, close):
    want = {key: tensor.to(out.device) for key, tensor in golden.tensors.items()}
    torch.testing.assert_close(out, want[f"block_{pattern}.out"], **close)
    out.backward(want["dout"])
    for name, tensor in zip("qkv", inputs, strict=True):
        torch.testing.assert_close(tensor.grad, want[f"block_{pattern}.d{name}"], **close)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_one_dense_attention_per_block(golden, pattern):
    inputs, scale, sizes = case(golden)
    out = per_block_attention(*inputs, scale, sizes, pattern)
    check(golden, pattern, out, inputs, {"atol": 1e-4, "rtol": 1e-4})


@pytest.mark.parametrize("pattern", PATTERNS)
def test_training_takes_it_on_the_cpu(golden, pattern):
    inputs, scale, sizes = case(golden)
    out = block_attend(sizes, pattern)(*inputs, scale)
    check(golden, pattern, out, inputs, {"atol": 1e-4, "rtol": 1e-4})


@pytest.mark.filterwarnings("ignore:.*flex_attention called without torch.compile")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_block_sparse_kernel_uncompiled(golden, pattern):
    inputs, scale, sizes = case(golden, grad=False)
    out, lse = flex_attention(*inputs, scale, sizes, pattern, with_lse=True)
    close = {"atol": 1e-4, "rtol": 1e-4}
    torch.testing.assert_close(out, golden.tensors[f"block_{pattern}.out"], **close)
    torch.testing.assert_close(lse, golden.tensors[f"block_{pattern}.lse"], **close)
    assert torch.equal(out, flex_attention(*inputs, scale, sizes, pattern))


@pytest.mark.cuda
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_block_sparse_kernel_on_cuda(golden, pattern, dtype):
    inputs, scale, sizes = case(golden, "cuda")
    out = flex_attention(*(x.to(dtype) for x in inputs), scale, sizes, pattern).float()
    limit = {torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 4e-2}[dtype]
    check(golden, pattern, out, inputs, {"atol": limit, "rtol": limit})


@pytest.mark.parametrize("pattern", PATTERNS)
def test_density_of_the_mask(golden, pattern):
    """The mask lets exactly the pairs through that the pattern names."""
    sizes = golden.spec["config"]["block_sizes"]
    mask = block_mask(tuple(sizes), pattern, torch.device("cpu"))
    block = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    i, j = torch.meshgrid(torch.arange(len(block)), torch.arange(len(block)), indexing="ij")
    seen = mask.mask_mod(0, 0, i, j)
    want = block[:, None] == block if pattern == "diagonal" else block[:, None] >= block
    assert torch.equal(seen, want)
