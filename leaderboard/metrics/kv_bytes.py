"""What the KV cache holds: exact bytes, the same on every machine."""

from __future__ import annotations

import numpy as np

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.per_image import PerImage
from var_spaces.methods import register


@register
class KvPeak(PerImage):
    """Most bytes of keys and values that are held after a scale, per image, in KiB."""

    name = "kv-peak"
    title = "KV cache peak"
    better = "lower"
    unit = "KiB"

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        return np.full(len(batch.items), max(batch.cost.kv_bytes) / 1024)


@register
class KvHistory(PerImage):
    """Bytes that the last scale is given, as a share of those of the full cache; 0 where it is the
    only one."""

    name = "kv-history"
    title = "KV history share"
    better = "lower"

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        given, full = (sum(held[-2:-1]) for held in (batch.cost.kv_bytes, batch.cost.kv_full_bytes))
        return np.full(len(batch.items), given / max(full, 1))
