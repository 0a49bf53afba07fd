"""Bytes of the KV cache of a run, from a run of its own policy on tensors without numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from var_spaces.cache.base import CachePolicy
from var_spaces.decoding.strategy import ScaleWork
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule

META = torch.device("meta")


def kv_bytes(
    backbones: Mapping[str, Any],
    policy: CachePolicy,
    schedule: ScaleSchedule,
    rows: Mapping[str, int],
    dtype: torch.dtype,
    work: Sequence[ScaleWork] = (),
    pinned: Sequence[int] = (),
) -> tuple[tuple[int, ...], int]:
    """Bytes held after each scale and the largest allocation.

    Args:
        backbones: that draw, by what ``work`` calls them; the run's own is "".
        rows: of the batch of each of them, for one candidate per image.
        work: of the decoding strategy at every scale; empty is plain decoding.
        pinned: entries per block of the run's own that stand in front of all others.

    Raises:
        VarSpacesError: if the policy looks at numbers to decide how many entries it keeps.
    """
    work = work or (ScaleWork(),) * schedule.num_scales
    held, peak, run = [], 0, None
    try:
        with torch.no_grad():
            for scale, step in enumerate(work):
                if run is None or step.model != run.model:
                    peak = max(peak, run.cache.peak_bytes) if run else 0
                    front = () if step.model else pinned
                    one, carried = backbones[step.model], rows[step.model]
                    run = _Run(one, policy, schedule, carried, dtype, work, scale, front)
                run.draw(scale)
                after = work[scale + 1].rows if scale + 1 < len(work) else 1
                run.gather(carried * after)
                held.append(run.cache.nbytes)
    except (NotImplementedError, RuntimeError) as error:
        if isinstance(error, VarSpacesError):
            raise
        raise VarSpacesError(
            f"Cache policy '{policy.name}' decides by what it sees in a run, so its bytes cannot "
            "be known before: estimate another policy, or measure a run."
        ) from None
    return tuple(held), max(peak, run.cache.peak_bytes)  # before a policy cuts what was appended


class _Run:
    """One backbone's cache from its first scale on; it reads all scales before that."""

    def __init__(
        self,
        backbone: Any,
        policy: CachePolicy,
        schedule: ScaleSchedule,
        rows: int,
        dtype: torch.dtype,
        work: Sequence[ScaleWork],
        first: int,
        pinned: Sequence[int],
    ) -> None:
        self.model, self.work, self.schedule, self.dtype = work[first].model, work, schedule, dtype
        self.layers, self.heads, self.head_dim = backbone.kv_layout()
        self.rows, self.active = rows, list(range(self.layers))
        self.cache = policy.new_cache(
            schedule,
            layers=self.layers,
            rows=rows,
            heads=self.heads,
            head_dim=self.head_dim,
            dtype=dtype,
            device=META,
            reserve=self._reserve(first),
        )
        self.cache.attention = lambda q, *rest: torch.empty_like(q)  # only its shape is needed
        self.session = policy.session(self.cache, schedule)
        for layer, entries in enumerate(pinned):
            if entries:
                self.cache.pin(layer, self._tokens(entries), self._tokens(entries))
        self.gather(rows * work[first].rows)
        for scale in range(first):
            self.draw(scale)

    def _reserve(self, first: int) -> int | None:
        """Entries that it is made for: until another model goes on, or with fewer blocks."""
        now = self.work[first]
        ends = (
            scale
            for scale in range(first + 1, len(self.work))
            if (self.work[scale].model, self.work[scale].blocks) != (now.model, now.blocks)
        )
        end = next(ends, None)
        return None if end is None else self.schedule.offsets[end]

    def draw(self, scale: int) -> None:
        """Append the tokens of a scale."""
        self._choose(self.work[scale].blocks)
        self.cache.begin_scale(scale)
        new = self._tokens(self.schedule.lengths[scale])
        for layer in self.active:
            self.cache.attend(layer, new, new, new, 1.0, lambda index: self._tokens(len(index)))
        self.session.after_scale(scale)

    def _choose(self, blocks: Sequence[int] | None) -> None:
        """Free the caches of blocks that no longer run, before the others grow."""
        if blocks is None or list(blocks) == self.active:
            return
        for skipped in set(self.active) - set(blocks):
            self.cache.release(skipped)
        self.active = list(blocks)
        for layer in self.active:
            self.cache.grow(layer)

    def gather(self, rows: int) -> None:
        """Go on with another number of rows."""
        if rows != self.rows:
            self.cache.gather_rows(torch.zeros(rows, dtype=torch.int64, device=META))
            self.rows = rows

    def _tokens(self, tokens: int) -> torch.Tensor:
        shape = (self.rows, self.heads, tokens, self.head_dim)
        return torch.empty(shape, dtype=self.dtype, device=META)
