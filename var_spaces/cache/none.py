"""No KV cache: every scale sees itself alone, as in HMAR (https://arxiv.org/abs/2506.04421).

HMAR is trained so. On a VAR it takes away the history that the model was trained with, which shows
what that history is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from var_spaces.cache.base import CachePolicy
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.cache.kv import KVCache
    from var_spaces.schedule import ScaleSchedule


@register
class NoCache(CachePolicy):
    """Keep nothing; a scale knows what came before it through its input only."""

    name = "none"
    title = "No cache: a scale sees itself alone"
    paper = "https://arxiv.org/abs/2506.04421"

    @property
    def offers(self) -> frozenset[str]:
        """What other parts may exclude."""
        return frozenset({"no-history"})

    @property
    def needs(self) -> dict[str, str]:
        return {}

    def new_cache(self, schedule: ScaleSchedule, **layout: Any) -> KVCache:
        from var_spaces.cache.passing import PassingCache

        return PassingCache(capacity=1, preallocate=False, **layout)
