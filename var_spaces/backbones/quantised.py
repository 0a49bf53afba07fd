"""Linear layers whose weights take 8 or 4 bits, multiplied by bitsandbytes or by torch.

``int8`` is LLM.int8() without outliers (https://arxiv.org/abs/2208.07339): a scale per row of the
weights and per token. ``nf4`` is QLoRA's 4-bit type with quantised scales (arXiv 2305.14314, §3).
``int8-dynamic`` is the rule of ``int8`` by torch's product of integers, for speed on CPUs: nothing
passes through half precision, and bitsandbytes is not needed.

The layers hold plain buffers and change nothing when they run, so threads share them, and whatever
moves, counts or offloads tensors needs to know nothing about them. (bitsandbytes' own modules
rearrange their weights during the first call.)
"""

from __future__ import annotations

import logging
import math
import sys
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from var_spaces.errors import VarSpacesError

BLOCK = 64  # weights that share a scale in nf4
SCALES_BLOCK = 256  # scales that share a scale


@cache
def bitsandbytes() -> Any:
    """The library.

    Where the package ``kernels`` is installed it would fetch code from the Hub and run it while it
    is imported, so that package is hidden from it.

    Raises:
        VarSpacesError: if it is not installed.
    """
    log, absent = logging.getLogger("bitsandbytes"), object()
    kernels, level = sys.modules.get("kernels", absent), log.level
    sys.modules["kernels"] = None
    log.setLevel(logging.ERROR)
    try:
        import bitsandbytes as library
    except ImportError:
        raise VarSpacesError(
            "Weights of 8 or 4 bits need bitsandbytes: pip install 'bitsandbytes>=0.46'."
        ) from None
    finally:
        log.setLevel(level)
        del sys.modules["kernels"]
        if kernels is not absent:
            sys.modules["kernels"] = kernels
    return library


class QuantisedLinear(nn.Module):
    """``x @ weight.T + bias`` with few bits per weight.

    Args:
        weight: ``(out, in)``, any floating-point type, on the device where the layer shall be.
        bias: ``(out,)`` or None; its type is the type the layer computes in.
    """

    kind: ClassVar[str]

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        for name, tensor in self.quantise(weight.detach()).items():
            self.register_buffer(name, tensor)

    @staticmethod
    def quantise(weight: Tensor) -> dict[str, Tensor]:
        """What is kept of weights."""
        raise NotImplementedError

    @staticmethod
    def nbytes(rows: int, columns: int) -> int:
        """Bytes of what is kept of ``rows x columns`` weights."""
        raise NotImplementedError

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """``x (n, in)`` to ``(n, out)``."""
        raise NotImplementedError

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """``x (..., in)`` to ``(..., out)``; ``bias`` as of :class:`layers.Projection`."""
        flat = x.reshape(-1, self.in_features)
        out = self.multiply(flat, self.bias if bias is None else bias)
        return out.view(*x.shape[:-1], self.out_features)


class Int8Linear(QuantisedLinear):
    """Eight bits: products of integers, a scale per row of the weights and per row of ``x``."""

    kind = "int8"

    @staticmethod
    def quantise(weight: Tensor) -> dict[str, Tensor]:
        codes, scales, _ = bitsandbytes().functional.int8_vectorwise_quant(weight.half())
        return {"codes": codes, "scales": scales}

    @staticmethod
    def nbytes(rows: int, columns: int) -> int:
        return rows * columns + 4 * rows

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        codes, scales, _ = bitsandbytes().functional.int8_vectorwise_quant(x.half())
        return torch.ops.bitsandbytes.int8_scaled_mm.default(
            codes, self.codes, scales, self.scales, bias=bias, dtype=x.dtype
        )


class NF4Linear(QuantisedLinear):
    """Four bits that stand for quantiles of a normal distribution; scales take eight bits."""

    kind = "nf4"

    @staticmethod
    def quantise(weight: Tensor) -> dict[str, Tensor]:
        packed, state = bitsandbytes().functional.quantize_4bit(
            weight.contiguous(), blocksize=BLOCK, compress_statistics=True, quant_type="nf4"
        )
        return {
            "packed": packed,
            "values": state.code,
            "scales": state.absmax,
            "scales_offset": state.offset,
            "scales_scales": state.state2.absmax,
            "scales_values": state.state2.code,
        }

    @staticmethod
    def nbytes(rows: int, columns: int) -> int:
        weights = rows * columns
        scales = -(-weights // BLOCK)
        return -(-weights // 2) + 4 * 16 + scales + 4 + 4 * -(-scales // SCALES_BLOCK) + 4 * 256

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        library = bitsandbytes()
        state = library.functional.QuantState(
            absmax=self.scales,
            shape=torch.Size((self.out_features, self.in_features)),
            code=self.values,
            blocksize=BLOCK,
            quant_type="nf4",
            dtype=x.dtype,
            offset=self.scales_offset,
            state2=library.functional.QuantState(
                absmax=self.scales_scales,
                code=self.scales_values,
                blocksize=SCALES_BLOCK,
                dtype=torch.float32,
            ),
        )
        return library.matmul_4bit(x, self.packed.t(), quant_state=state, bias=bias)


class DynamicInt8Linear(QuantisedLinear):
    """Eight bits; a scale per row of the weights and per row of ``x``, found as it comes.

    Rows of ``x`` do not see each other, so images of a batch stay apart.
    """

    kind = "int8-dynamic"

    @staticmethod
    def quantise(weight: Tensor) -> dict[str, Tensor]:
        if weight.is_cuda:
            raise VarSpacesError("Weights in 'int8-dynamic' are for CPUs: choose int8 on a GPU.")
        codes, scales = _rows_in_8_bits(weight.float(), _most())
        return {"codes": codes, "scales": scales[:, 0]}

    @staticmethod
    def nbytes(rows: int, columns: int) -> int:
        return rows * columns + 4 * rows

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        codes, scales = _rows_in_8_bits(x.float(), 127)
        out = torch._int_mm(codes, self.codes.T) * scales
        out *= self.scales
        return (out if bias is None else out.add_(bias)).to(x.dtype)


@cache
def _most() -> int:
    """Largest code of a weight: processors without instructions for sums of such products (VNNI)
    add two of them in 16 bits, which 63 never fills."""
    full = torch.full((32, 64), 127, dtype=torch.int8)
    return 127 if (torch._int_mm(full, full.T) == 64 * 127**2).all() else 63


def _rows_in_8_bits(x: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Integers up to ``most`` of rows ``(n, m)``, and what they are multiplied by, ``(n, 1)``."""
    largest = torch.linalg.vector_norm(x, math.inf, dim=-1, keepdim=True)
    scales = largest.div_(most).clamp_min_(torch.finfo(torch.float32).tiny)
    return (x / scales).round_().to(torch.int8), scales


KINDS: dict[str, type[QuantisedLinear]] = {
    layer.kind: layer for layer in (Int8Linear, NF4Linear, DynamicInt8Linear)
}
