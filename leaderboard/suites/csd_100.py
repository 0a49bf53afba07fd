"""CSD-100: 100 pictures, about 50 prompts each, ten images a prompt (arXiv 2507.13984)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.style import ContentClipI, ContentCsd, StyleClipT, StyleCsd, StyleDino
from leaderboard.styles import csd_100
from leaderboard.styles.base import Picture
from leaderboard.suites.base import Suite, grouped
from leaderboard.suites.style_items import Prompt, items
from var_spaces.adapters.content_style_words import CONTENT, STYLE
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

SEEDS = 10


@register
class Csd100(Suite):
    """Content in other places, poses and styles; style on 21 things. All images count for CSD; the
    public code takes the first of every prompt."""

    name = "csd-100"
    title = "CSD-100, content and style apart"
    paper = "https://arxiv.org/abs/2507.13984"

    version = 2
    task = "style"
    downloads = (
        "pictures (qualcomm/csd100) and benchmark_prompts.json (visual-ar-group/CSD-VAR)",
        "yuxi-liu-wired/CSD: tomg-group-umd/CSD-ViT-L as safetensors",
        "timm/vit_small_patch16_224.dino and timm/vit_base_patch32_clip_224.openai",
        "a model that learned the pictures; a GPU",
    )

    def items(self) -> Sequence[Item]:
        kinds, styles = csd_100.prompts()
        pictures = [csd_100.find(name) for name in csd_100.names()]
        return items("csd-100", [(one, _prompts(one, kinds, styles)) for one in pictures])

    def batches(self, size: int) -> Sequence[tuple[Item, ...]]:
        return list(grouped(self.items(), min(size, SEEDS)))

    def metrics(self) -> tuple[Metric, ...]:
        clip = "clip-vit-b-32"
        return (
            ContentCsd(), ContentClipI(extractor=clip), StyleCsd(), StyleDino(),
            StyleClipT(extractor=clip), KvPeak(), Latency(),
        )  # fmt: skip

    def pictures(self) -> Mapping[str, np.ndarray]:
        found = [csd_100.find(name) for name in csd_100.names()]
        return {one.sha256: one.pixels for one in found}


def _prompts(
    picture: Picture, kinds: Mapping[str, Sequence[str]], styles: Sequence[str]
) -> list[Prompt]:
    """Poses for what lives only."""
    chosen = [name for name in kinds if name != "non-rigid" or picture.content in csd_100.LIVE]
    content = [text.replace("{}", CONTENT) for name in chosen for text in kinds[name]]
    # <style> is read as the word with "style" behind it.
    style = [text.replace("{} style", STYLE).replace("{}", STYLE) for text in styles]
    return [Prompt(text, seeds=SEEDS) for text in (*content, *style)]
