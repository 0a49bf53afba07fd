"""Quantised KV cache: every entry in 8 or 4 bits, alone or around any other policy.

Per-token asymmetric rounding as in KIVI (arXiv 2402.02750), for keys as well as values: entries of
different scales and heads then never share a scale, so any policy may drop any of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from var_spaces import methods
from var_spaces.cache.base import CachePolicy, CacheSession
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.cache.kv import KVCache
    from var_spaces.schedule import ScaleSchedule


@register
class Quantised(CachePolicy):
    """Store keys and values in few bits; another policy may decide which."""

    name = "quantised"
    title = "Quantised: 8 or 4 bits per number"
    paper = "https://arxiv.org/abs/2402.02750"

    bits: Literal[8, 4] = Field(8, description="bits per number")
    policy: str = Field(
        "full",
        description="name of the cache policy that decides what stays",
        json_schema_extra={"content": "cache"},
    )
    policy_budget: float = Field(
        1, gt=0, le=1, description="budget of that policy; its other parameters are the defaults"
    )

    @model_validator(mode="after")
    def _check(self) -> Quantised:
        if self.policy == self.name:
            raise VarSpacesError("policy must be another policy than 'quantised'.")
        self.inner()
        return self

    def inner(self) -> CachePolicy:
        """The policy that decides what stays."""
        has_budget = "budget" in methods.get("cache", self.policy).model_fields
        settings = {"budget": self.policy_budget} if has_budget else {}
        inner = methods.parse("cache", {"name": self.policy, **settings})
        return inner.for_models(self._models)

    def check(self, schedule: ScaleSchedule, layers: int, heads: int) -> None:
        self.inner().check(schedule, layers, heads)

    def new_cache(self, schedule: ScaleSchedule, **sizes: Any) -> KVCache:
        from var_spaces.cache.quantised_storage import QuantisedStorage

        return self.inner().new_cache(schedule, **{**sizes, "storage": QuantisedStorage(self.bits)})

    def notes(self, schedule: ScaleSchedule) -> tuple[str, ...]:
        return self.inner().notes(schedule)

    def session(self, cache: KVCache, schedule: ScaleSchedule) -> CacheSession:
        return self.inner().session(cache, schedule)
