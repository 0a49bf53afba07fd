"""Keys and values that queries see beside those of the sequence, and the masks that say where.

A cache holds them never: they come with one call of attention, e.g. for a reference picture that
every scale sees in its own size. What stays for a whole run is pinned (:meth:`KVCache.pin`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from var_spaces.schedule import ScaleSchedule

# index (m,) of tokens of the current scale -> their queries (rows, heads, m, D) as projected:
# without bias, normalisation, per-head factor and rotation
RawQueries = Callable[[Tensor], Tensor]


class Beside(NamedTuple):
    """More keys and values ``(rows, heads, n, D)``, in front of all others.

    ``visible (l, n)`` bool says which queries see which; None is all.
    """

    k: Tensor
    v: Tensor
    visible: Tensor | None = None

    def seen(self, queries: int) -> Tensor:
        """``visible`` as a tensor ``(l, n)``."""
        if self.visible is not None:
            return self.visible
        return torch.ones(queries, self.k.shape[2], dtype=torch.bool, device=self.k.device)

    def of_heads(self, heads: slice | Tensor) -> Beside:
        """For some heads."""
        return Beside(self.k[:, heads], self.v[:, heads], self.visible)

    def of_queries(self, queries: slice) -> Beside:
        """For some queries."""
        visible = None if self.visible is None else self.visible[queries]
        return Beside(self.k, self.v, visible)

    def to(self, device: torch.device) -> Beside:
        visible = None if self.visible is None else self.visible.to(device)
        return Beside(self.k.to(device), self.v.to(device), visible)

    def before(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Its keys and values in front of others."""
        own = (self.k, self.v)
        k, v = (torch.cat((a.to(b), b), dim=2) for a, b in zip(own, (k, v), strict=True))
        return k, v


class Attend(Protocol):
    """Attention of one layer: full, masked or cached."""

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        raw: RawQueries | None = None,
        beside: Beside | None = None,
    ) -> Tensor:
        """Attended values ``(B, H, l, D)``.

        Args:
            q, k, v: of the tokens at hand, ``(B, H, l, D)``, ready for attention.
            scale: factor on the scores.
            raw: queries of some tokens as projected, for cache policies that ask.
            beside: keys and values to see beside those of the sequence.
        """
        ...


def joined(one: Beside | None, two: Beside, queries: int) -> Beside:
    """Both, the first in front; the second alone if there is no first."""
    if one is None:
        return two
    visible = None
    if one.visible is not None or two.visible is not None:
        visible = torch.cat((one.seen(queries), two.seen(queries)), dim=1)
    return Beside(*one.before(two.k, two.v), visible)


def with_beside(attend: Attend, always: Beside) -> Attend:
    """Attention that sees more keys and values at every call."""

    def widened(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        raw: RawQueries | None = None,
        beside: Beside | None = None,
    ) -> Tensor:
        more = always if beside is None else joined(always, beside, q.shape[2])
        return attend(q, k, v, scale, raw, more)

    return widened


def scales_of_tokens(
    schedule: ScaleSchedule, scales: Sequence[int], device: torch.device | str, front: int = 0
) -> Tensor:
    """Scale of every token of some scales, ``(l,)`` int64: to compare for masks.

    Args:
        front: tokens in front of those of scale 0, which count as its own.
    """
    lengths = [schedule.lengths[k] + (front if k == 0 else 0) for k in scales]
    numbers = torch.tensor(list(scales), device=device)
    counts = torch.tensor(lengths, device=device)
    return numbers.repeat_interleave(counts, output_size=sum(lengths))  # known: no device is asked
