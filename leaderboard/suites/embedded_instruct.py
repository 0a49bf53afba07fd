"""Editing by instruction with embedded models: frozen pairs whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leaderboard import edit_pairs
from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.edit_done import EditDone
from leaderboard.metrics.edit_kept import EditKeptPsnr, EditKeptSsim
from leaderboard.metrics.edit_nearer import EditNearer
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.suites.base import Suite
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np


@register
class EmbeddedInstruct(Suite):
    """360 pairs: eleven operations, each on things seen in training, on unseen (concept, style)
    pairs, and in combinations that are never trained on."""

    name = "embedded-instruct"
    title = "Edits by instruction, 360 pairs"

    version = 2
    task = "instruct"
    minutes = 5

    def items(self) -> Sequence[Item]:
        return [
            Item(
                number,
                {"source": source, "instruction": pair.instruction},
                {"pair": number, "group": pair.operation, "split": pair.split},
            )
            for number, (pair, source) in enumerate(
                zip(edit_pairs.pairs(), edit_pairs.hashes(), strict=True)
            )
        ]

    def metrics(self) -> tuple[Metric, ...]:
        return EditDone(), EditNearer(), EditKeptPsnr(), EditKeptSsim(), KvPeak(), Latency()

    def pictures(self) -> Mapping[str, np.ndarray]:
        return edit_pairs.pictures()
