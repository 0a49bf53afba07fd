"""Prompt following of embedded text models, on frozen prompts whose claims can be checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.clip_score import ClipScore
from leaderboard.metrics.cmmd import Cmmd
from leaderboard.metrics.composition import Composition
from leaderboard.metrics.frechet import Frechet
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.references.atlas import AtlasScenes
from leaderboard.references.base import Reference
from leaderboard.suites.base import Suite
from var_spaces.evaluators.compose import read_prompts
from var_spaces.methods import register

PER_CATEGORY = 20


@register
class EmbeddedText(Suite):
    """20 prompts of each of ten categories: objects, numbers, colours, positions, styles, ..."""

    name = "embedded-text"
    title = "Embedded text models, 200 prompts"

    version = 2
    task = "text-to-image"
    minutes = 2

    def items(self) -> Sequence[Item]:
        found = []
        for index, prompt in enumerate(read_prompts(PER_CATEGORY)):
            facts = {"caption": prompt.text, "group": prompt.category}
            facts["claims"] = asdict(prompt.caption)
            found.append(Item(index, {"prompt": prompt.text}, facts))
        return found

    def metrics(self) -> tuple[Metric, ...]:
        return (
            Composition(), ClipScore(), Cmmd(), Frechet(extractor="embedded-clip"), KvPeak(),
            Latency(),
        )  # fmt: skip

    def reference(self) -> Reference:
        return AtlasScenes(recipe="composed", split="all", count=2048)
