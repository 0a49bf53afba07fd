"""Attention with a second softmax, over a reference: ``softmax(q k') v + Z softmax(q k_c') v_c``.

EchoGen (https://arxiv.org/abs/2509.26127, its released module) and ScaleWeaver
(https://arxiv.org/abs/2510.14882). With ``Z = 0`` the sum is the first term bit for bit, which no
joint softmax over ``[k; k_c]`` can be, so training starts from the model as it was.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from var_spaces.backbones.dense_attention import dense_attention
from var_spaces.backbones.layers import Attend


class Reference(NamedTuple):
    """What a second softmax looks at.

    Attributes:
        k, v: keys and values of the reference, ``(R or 1, H, n, D)``, ready for attention.
        rows: R, how many rows of a batch see it; they are the first ones.
        visible: which queries see which of them, ``(l, n)`` bool; None is all. A query that sees
            none gets nothing.
    """

    k: Tensor
    v: Tensor
    rows: int
    visible: Tensor | None = None

    def attend(self, q: Tensor, scale: float) -> Tensor:
        """Attended values ``(R, H, l, D)`` of the rows that see it."""
        q = q[: self.rows]
        k, v = (both.to(q.dtype).expand(self.rows, -1, -1, -1) for both in (self.k, self.v))
        return dense_attention(q, k, v, self.visible, scale)


def two_softmax(attend: Attend, into: nn.Module, reference: Reference) -> Attend:
    """An attention that adds what a second softmax over ``reference`` finds.

    Args:
        attend: the first attention.
        into: Z, on heads side by side: ``(R, l, H D)`` to the same shape.
    """

    def both(q: Tensor, k: Tensor, v: Tensor, scale: float, *more: Any, **named: Any) -> Tensor:
        out = attend(q, k, v, scale, *more, **named)
        found = reference.attend(q, scale).transpose(1, 2)
        added = into(found.flatten(2)).view(found.shape).transpose(1, 2)
        return joined(out, added)

    return both


def joined(out: Tensor, added: Tensor) -> Tensor:
    """``out (B, ...)`` with ``added (R, ...)`` on top of its first R rows."""
    if len(added) == len(out):
        return out + added
    return torch.cat((out[: len(added)] + added, out[len(added) :]))
