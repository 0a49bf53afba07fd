"""Linear layers of generators; wide ones on a CPU are multiplied by oneDNN.

torch takes MKL for float32 products of any size. On processors that are not Intel's oneDNN is
15 to 40 % faster for wide layers, with sums in another order. Narrow ones stay with MKL.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces import cpu

MIN_WIDTH = 512  # of both sides of the weights


class Linear(nn.Linear):
    """:class:`nn.Linear` through :func:`product`."""

    def forward(self, x: Tensor) -> Tensor:
        return product(x, self.weight, self.bias)


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight.T + bias``: ``(..., in)`` to ``(..., out)``."""
    if min(weight.shape) >= MIN_WIDTH and cpu.is_plain(x, weight) and _onednn() is not None:
        return _onednn()(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


@cache
def _onednn() -> Any:
    """torch's product by oneDNN; None if this build has none."""
    if not torch.backends.mkldnn.is_available():
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)
