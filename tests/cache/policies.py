"""Drives a cache policy without a model: queries, keys and values are random or given."""

from __future__ import annotations

import torch

from var_spaces import methods
from var_spaces.cache.base import CachePolicy
from var_spaces.cache.kv import KVCache
from var_spaces.schedule import ScaleSchedule

SCHEDULE = ScaleSchedule.square((1, 2, 4, 6, 8))
HEAD_DIM = 8


def small(name: str, budget: float = 0.3) -> CachePolicy:
    """A policy by name, with a budget if it has one."""
    known = "budget" in methods.get("cache", name).model_fields
    return methods.parse("cache", {"name": name, **({"budget": budget} if known else {})})


class Drive:
    """A policy, its cache and its session on random attention; ``kept[scale][layer][group]``."""

    def __init__(
        self,
        policy: CachePolicy,
        *,
        schedule=SCHEDULE,
        layers=3,
        rows=2,
        heads=4,
        storage=None,
        blocks=1,
    ) -> None:
        self.schedule, self.layers, self.heads = schedule, layers, heads
        self.cache: KVCache = policy.new_cache(
            schedule,
            layers=layers,
            rows=rows,
            heads=heads,
            head_dim=HEAD_DIM,
            dtype=torch.float32,
            device="cpu",
            storage=storage,
            blocks=blocks,
        )
        self.session = policy.session(self.cache, schedule)
        self.kept: list[list[list[torch.Tensor]]] = []
        self.lengths: list[tuple[tuple[int, ...], ...]] = []
        self.outputs: list[list[torch.Tensor]] = []

    def scale(self, scale: int, generator: torch.Generator) -> None:
        """All layers of one scale."""
        self.cache.begin_scale(scale)
        self.outputs.append([])
        for layer in range(self.layers):
            shape = (3, self.cache.rows, self.heads, self.schedule.lengths[scale], HEAD_DIM)
            q, k, v = torch.randn(shape, generator=generator).unbind(0)
            raw = lambda index, q=q: q[:, :, index]  # noqa: E731
            self.outputs[-1].append(self.cache.attend(layer, q, k, v, 0.5, raw))
        self.session.after_scale(scale)
        self.lengths.append(self.cache.lengths)
        self.kept.append(
            [
                [self.cache.positions(layer, group) for group in range(len(groups))]
                for layer, groups in enumerate(self.cache.lengths)
            ]
        )

    def run(self, seed: int = 0, scales: int | None = None) -> Drive:
        generator = torch.Generator().manual_seed(seed)
        for scale in range(scales or self.schedule.num_scales):
            self.scale(scale, generator)
        return self
