"""Kernels between the products of a block, by Triton's interpreter, against torch's operations."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from var_spaces.backbones import fused

INTERPRETED = """
import torch
from var_spaces.backbones import fused, fused_kernels

for rows, length, width, dtype in ((2, 3, 40, torch.float32), (1, 5, 64, torch.float16)):
    torch.manual_seed(width)
    x = 3 * torch.randn(rows, length, width)
    branch = torch.randn(rows, length, width).to(dtype)
    gate, _, scale, _, shift, _ = torch.randn(rows, 1, 6, width).unbind(2)
    close = {"rtol": 1e-3, "atol": 1e-3} if dtype == torch.float16 else {"rtol": 1e-5, "atol": 1e-5}
    want = fused.joined_modulated(x, branch, gate, scale, shift, 1e-6, dtype)
    got = fused.launch_modulated(fused_kernels, x, branch, gate, scale, shift, 1e-6, dtype)
    torch.testing.assert_close(got[0], want[0])
    torch.testing.assert_close(got[1], want[1], **close)
    alone = fused.launch_modulated(fused_kernels, x, None, None, scale, shift, 1e-6, dtype)
    assert alone[0] is x
    want = fused.modulated(x, scale, shift, 1e-6, dtype)
    torch.testing.assert_close(alone[1], want, **close)
    got = fused.launch_gated(fused_kernels, x, branch, gate)
    torch.testing.assert_close(got, fused.joined(x, branch, gate))
"""


def test_kernels_do_what_torch_does():
    pytest.importorskip("triton")
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", INTERPRETED], check=True, env=environment)


def test_what_the_kernels_take():
    x, table = torch.zeros(2, 5, 8), torch.zeros(2, 1, 6, 8)
    gate, other = table[:, :, 0], table[:, :, 1]
    assert fused._fits(x, gate, other)
    assert not fused._fits(x, gate.expand(2, 5, 8))  # modulation of every token
    assert not fused._fits(x, gate, other.contiguous())  # lies otherwise in memory
    assert not fused._fits(x, gate.double(), other.double())
    assert not fused._runs(x, gate, other)  # of a CPU


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_kernels_on_cuda(dtype):
    torch.manual_seed(0)
    x, branch = torch.randn(2, 4, 1920, device="cuda"), torch.randn(2, 4, 1920, device="cuda")
    gate, _, scale, _, shift, _ = torch.randn(2, 1, 6, 1920, device="cuda").unbind(2)
    given = (x, branch.to(dtype), gate, scale, shift, 1e-6, dtype)
    with torch.no_grad():
        got = fused.joined_modulated(*given)
        with fused.plain():
            want = fused.joined_modulated(*given)
    for one, two in zip(got, want, strict=True):
        assert one.dtype == two.dtype
        torch.testing.assert_close(
            one, two, rtol=2e-2 if dtype != torch.float32 else 1e-5, atol=1e-2
        )
