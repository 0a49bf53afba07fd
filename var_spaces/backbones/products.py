"""Linear layers of generators; wide ones on a CPU are multiplied by oneDNN.

torch takes MKL for float32 products of any size. On processors that are not Intel's oneDNN is
15 to 40 % faster for wide layers, with sums in another order. Narrow ones stay with MKL, so that
pictures of small models are what they were; where images share a batch it is 5 to 10 % faster for
those too, and takes the activation along (see ``cpu.any_order``).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces import cpu

MIN_WIDTH = 512  # of both sides of the weights
MIN_WIDTH_SHARED = 128  # in any order


class Linear(nn.Linear):
    """:class:`nn.Linear` through :func:`product`."""

    def forward(self, x: Tensor) -> Tensor:
        return product(x, self.weight, self.bias)


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight.T + bias``: ``(..., in)`` to ``(..., out)``."""
    if _pays(x, weight):
        return _onednn()(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


def gelu(layer: nn.Module, x: Tensor) -> Tensor:
    """``gelu_tanh(layer(x))``; in one pass over memory where sums may have any order."""
    if type(layer) is Linear and cpu.is_any_order() and _pays(x, layer.weight):
        return _onednn()(x, layer.weight, layer.bias, "gelu", [], "tanh")
    return F.gelu(layer(x), approximate="tanh")


def _pays(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN multiplies these."""
    least = min(MIN_WIDTH, MIN_WIDTH_SHARED) if cpu.is_any_order() else MIN_WIDTH
    return min(weight.shape) >= least and cpu.is_plain(x, weight) and _onednn() is not None


@cache
def _onednn() -> Any:
    """torch's product by oneDNN; None if this build has none."""
    if not torch.backends.mkldnn.is_available():
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)
