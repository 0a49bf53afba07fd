"""What stands between the products of a block, in as few passes over memory as possible.

The residual stream is float32, its branches have the type of the weights. Drawing on CUDA one
Triton kernel adds a gated branch, normalises and modulates; elsewhere, and where gradients are
recorded, torch's own operations do the same one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

WIDEST = 8192  # channels that a program holds
_on = True


@contextmanager
def plain() -> Iterator[None]:
    """Torch's own operations, to be compared with."""
    global _on
    before, _on = _on, False
    try:
        yield
    finally:
        _on = before


def modulate(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    """``LN(x) * (1 + scale) + shift`` in float32; the norm has no parameters of its own."""
    return torch.addcmul(shift, F.layer_norm(x.float(), x.shape[-1:], eps=eps), 1 + scale)


def modulated(x: Tensor, scale: Tensor, shift: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """:func:`modulate` of ``x (B, l, C)`` by ``(B, 1, C)``, in a type."""
    if _runs(x, scale, shift):
        return launch_modulated(_kernels(), x, None, None, scale, shift, eps, dtype)[1]
    return modulate(x, scale, shift, eps).to(dtype)


def joined(x: Tensor, branch: Tensor, gate: Tensor) -> Tensor:
    """``x + gate * branch`` of ``(B, l, C)`` and ``(B, 1, C)``, float32."""
    if _runs(x, gate) and branch.shape == x.shape:
        return launch_gated(_kernels(), x, branch, gate)
    return x + gate * branch


def joined_modulated(
    x: Tensor,
    branch: Tensor,
    gate: Tensor,
    scale: Tensor,
    shift: Tensor,
    eps: float,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """:func:`joined`, and :func:`modulated` of it."""
    if _runs(x, gate, scale, shift) and branch.shape == x.shape:
        return launch_modulated(_kernels(), x, branch, gate, scale, shift, eps, dtype)
    x = x + gate * branch
    return x, modulate(x, scale, shift, eps).to(dtype)


def _runs(x: Tensor, *rows: Tensor) -> bool:
    """Whether the kernels take these."""
    return (
        _on
        and x.is_cuda
        and x.dtype == torch.float32
        and x.shape[-1] <= WIDEST
        and not torch.is_grad_enabled()
        and _fits(x, *rows)
        and _kernels() is not None
    )


def _fits(x: Tensor, *rows: Tensor) -> bool:
    """Whether modulation is a row of the batch each, one like the other in memory."""
    shape = (x.shape[0], 1, x.shape[2])
    strides = {row.stride(0) for row in rows}
    return len(strides) == 1 and all(
        row.shape == shape and row.stride(2) == 1 and row.dtype == torch.float32 for row in rows
    )


def launch_modulated(
    kernels: Any,
    x: Tensor,
    branch: Tensor | None,
    gate: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    eps: float,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """The sum (``x`` itself without a branch) and what is made of it."""
    x = x.contiguous()
    rows, length, width = x.shape
    out = torch.empty(x.shape, dtype=dtype, device=x.device)
    joins = branch is not None
    added = torch.empty_like(x) if joins else x
    kernels.modulated_kernel[(rows * length,)](
        x, branch.contiguous() if joins else x, gate if joins else scale, scale, shift, added, out,
        length, width, scale.stride(0), eps, joins, _block(width),
    )  # fmt: skip
    return added, out


def launch_gated(kernels: Any, x: Tensor, branch: Tensor, gate: Tensor) -> Tensor:
    """``x + gate * branch``."""
    x = x.contiguous()
    rows, length, width = x.shape
    added = torch.empty_like(x)
    kernels.gated_kernel[(rows * length,)](
        x, branch.contiguous(), gate, added, length, width, gate.stride(0), _block(width)
    )
    return added


def _block(width: int) -> int:
    """The smallest power of two that holds all channels."""
    return 1 << (width - 1).bit_length()


@cache
def _kernels() -> Any:
    """The Triton kernels; None where there is no Triton."""
    try:
        from var_spaces.backbones import fused_kernels
    except ImportError:
        return None
    return fused_kernels
