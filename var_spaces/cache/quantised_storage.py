"""Keys and values in 8 or 4 bits: one scale and offset per token and head (asymmetric, rounded).

Codes and the two half-precision numbers lie side by side in one row of bytes, so that gathering,
dropping and reordering entries is the same as for plain storage, and counted bytes are all bytes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from var_spaces.cache.group import Storage
from var_spaces.errors import VarSpacesError

EXTRA = 4  # bytes of scale and offset


class QuantisedStorage(Storage):
    """``head_dim * bits / 8 + 4`` bytes per key or value.

    Args:
        bits: 8 or 4.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.dtype = torch.float32

    def layout(self, head_dim: int, dtype: torch.dtype) -> tuple[int, torch.dtype]:
        if head_dim * self.bits % 8:
            raise VarSpacesError(
                f"Keys of {head_dim} channels do not fill whole bytes with {self.bits} bits: use 8."
            )
        self.dtype = dtype
        return head_dim * self.bits // 8 + EXTRA, torch.uint8

    def encode(self, x: Tensor) -> Tensor:
        """``(..., D)`` to bytes ``(..., D * bits / 8 + 4)``."""
        x = x.float()
        low, high = x.aminmax(dim=-1, keepdim=True)
        top = (1 << self.bits) - 1
        # The stored numbers are halves; codes must be made with what will be read.
        low = low.half()
        step = ((high - low.float()) / top).clamp_min(1e-7).half()
        codes = ((x - low.float()) / step.float()).round().clamp(0, top).to(torch.uint8)
        if self.bits == 4:
            codes = codes[..., ::2] | (codes[..., 1::2] << 4)
        numbers = torch.cat((low, step), dim=-1).contiguous().view(torch.uint8)
        return torch.cat((codes, numbers), dim=-1)

    def decode(self, stored: Tensor) -> Tensor:
        """Bytes to ``(..., D)`` in the dtype of the cache."""
        numbers = stored[..., -EXTRA:].contiguous().view(torch.float16).float()
        codes = stored[..., :-EXTRA]
        if self.bits == 4:
            codes = torch.stack((codes & 15, codes >> 4), dim=-1).flatten(-2)
        return (codes.float() * numbers[..., 1:] + numbers[..., :1]).to(self.dtype)
