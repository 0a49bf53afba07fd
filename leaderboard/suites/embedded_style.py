"""Content and style of one picture apart, for embedded text models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.style import (
    ContentClipI,
    ContentDistance,
    ContentInStyle,
    ContentKept,
    StyleClipT,
    StyleDistanceOnThing,
    StyleKept,
    StyleOnThing,
    Together,
)
from leaderboard.styles import sheet
from leaderboard.styles.base import Picture
from leaderboard.suites.base import Suite, grouped
from leaderboard.suites.style_items import Prompt, items
from var_spaces.adapters.content_style_words import CONTENT, STYLE
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

STYLES = (
    "flat",
    "glossy",
    "soft",
    "round",
    "blob",
)  # that generators know; four of them, not its own
THINGS = ("red apple", "fish", "house", "key", "crown", "balloon", "lemon", "rocket")
SEEDS, TOGETHER = 2, 4


@register
class EmbeddedStyle(Suite):
    """24 pictures, 20 images each: its content in four named styles, its style on eight named
    things, both together. No generator was trained on any of these pictures; the style of ten and
    the things of eight are in no training at all."""

    name = "embedded-style"
    title = "Content and style apart, embedded text models, 480 images"
    paper = "https://arxiv.org/abs/2507.13984"

    version = 2
    task = "style"
    minutes = 4

    def items(self) -> Sequence[Item]:
        return list(_items())

    def batches(self, size: int) -> Sequence[tuple[Item, ...]]:
        return list(grouped(self.items(), min(size, TOGETHER)))

    def metrics(self) -> tuple[Metric, ...]:
        return (
            ContentKept(), StyleKept(), ContentInStyle(), StyleOnThing(), Together(),
            ContentDistance(), StyleDistanceOnThing(), ContentClipI(), StyleClipT(), KvPeak(),
            Latency(),
        )  # fmt: skip

    def pictures(self) -> Mapping[str, np.ndarray]:
        return {one.sha256: one.pixels for one in sheet.pictures()}


@lru_cache(maxsize=1)
def _items() -> tuple[Item, ...]:
    return tuple(items("embedded", [(one, prompts(one)) for one in sheet.pictures()]))


def prompts(picture: Picture) -> list[Prompt]:
    """What is drawn of a picture."""
    own = {"concept": picture.content, "style": picture.style}
    first = "an" if picture.content[0] in "aeiou" else "a"
    styles = [style for style in STYLES if style != picture.style][:4]
    return [
        *(
            Prompt(f"{first} {CONTENT} in {style} style", {**own, "style": style}, SEEDS)
            for style in styles
        ),
        *(Prompt(f"a {thing} in {STYLE}", {**own, "concept": thing}) for thing in THINGS),
        Prompt(f"{first} {CONTENT} in {STYLE}", own, TOGETHER),
    ]
