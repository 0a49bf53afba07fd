"""Cache policies: what every layer and head keeps after a scale, and what attention may see.

This file imports no torch, so that parameters and specs can be read without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import PrivateAttr

from var_spaces.methods import Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from var_spaces.cache.group import Storage
    from var_spaces.cache.kv import KVCache
    from var_spaces.schedule import ScaleSchedule


class CacheSession:
    """A cache policy at work in one run; the base class keeps everything.

    The scale loop calls :meth:`after_scale`. A subclass with ``wants_queries = True`` is also
    called by the cache around every attention, and may call ``cache.keep`` there: before the
    attention to restrict what this scale sees, after it to restrict what later scales see.
    """

    wants_queries: ClassVar[bool] = False

    def __init__(self, cache: KVCache, schedule: ScaleSchedule) -> None:
        self.cache = cache
        self.schedule = schedule
        if self.wants_queries:
            cache.watch(self)

    def before_attention(self, layer: int, scale: int, q: Tensor, score_scale: float) -> None:
        """Keys of this scale are appended, attention has not run. ``q`` (rows, heads, l, D)."""

    def after_attention(self, layer: int, scale: int, q: Tensor, score_scale: float) -> None:
        """Attention of this layer and scale has run."""

    def gather_rows(self, index: Tensor) -> None:
        """Rows of the cache were reordered; follow with what is kept per row."""

    def after_scale(self, scale: int) -> None:
        """All layers have computed ``scale``; its tokens are sampled."""


class CachePolicy(Method):
    """Base class of cache policies; a policy is a description, its session does the work."""

    kind: ClassVar[str] = "cache"
    _models: tuple[str, ...] = PrivateAttr(())

    def for_models(self, models: Sequence[str]) -> Self:
        """The policy in runs of a model: what was measured of that very one comes first.

        Args:
            models: its id and those of what it stands on and draws with.
        """
        copy = self.model_copy()
        copy._models = tuple(models)
        return copy

    @property
    def needs(self) -> Mapping[str, str]:
        """Capabilities that the model must offer, with the reason in plain words."""
        return {"kv-cache": "it keeps keys and values of earlier scales for later ones to read"}

    def new_cache(
        self,
        schedule: ScaleSchedule,
        *,
        layers: int,
        rows: int,
        heads: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device | str,
        reserve: int | None = None,
        storage: Storage | None = None,
        blocks: int = 1,
    ) -> KVCache:
        """A cache of the size and head groups that this policy needs for a run.

        Args:
            schedule: scales of the run.
            layers, heads, head_dim: ``kv_layout()`` of the backbone.
            rows: rows of the batch: a block of images per named condition.
            dtype, device: of the stored keys and values.
            reserve: preallocate no more entries per head than these; None is the whole run.
            storage: how entries lie in memory; None is as they are.
            blocks: of rows, one per named condition.

        Raises:
            VarSpacesError: if the policy cannot work with this schedule or layout.
        """
        from var_spaces.cache.kv import KVCache

        return KVCache(
            layers=layers,
            rows=rows,
            heads=heads,
            head_dim=head_dim,
            capacity=self.capacity(schedule, layers),
            dtype=dtype,
            device=device,
            head_groups=self.head_groups(schedule, layers, heads),
            preallocate=self.preallocates,
            reserve=reserve,
            storage=storage,
            blocks=blocks,
        )

    @property
    def preallocates(self) -> bool:
        """Whether the cache is allocated at once; a policy that drops entries says no."""
        return True

    def capacity(self, schedule: ScaleSchedule, layers: int) -> int | Sequence[int | Sequence[int]]:
        """Entries a head can hold at most: for all, per layer, or per layer and group."""
        return schedule.total

    def head_groups(
        self, schedule: ScaleSchedule, layers: int, heads: int
    ) -> Sequence[Sequence[Sequence[int]]] | None:
        """Heads that keep equally many entries, per layer; None: all heads of a layer."""
        return None

    def check(self, schedule: ScaleSchedule, layers: int, heads: int) -> None:
        """Refuse a model's layout, before any weight is read.

        Raises:
            VarSpacesError: if the policy cannot work with it, e.g. for lack of a calibration.
        """
        self.capacity(schedule, layers)
        self.head_groups(schedule, layers, heads)

    def notes(self, schedule: ScaleSchedule) -> tuple[str, ...]:
        """Sentences for a person: what this policy cannot do as asked, and does instead."""
        return ()

    def session(self, cache: KVCache, schedule: ScaleSchedule) -> CacheSession:
        """Start the policy in a run.

        Raises:
            VarSpacesError: if the policy cannot work with this schedule or cache.
        """
        return CacheSession(cache, schedule)
