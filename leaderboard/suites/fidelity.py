"""What a cache policy or a decoding strategy changes: every image beside its full-cache twin."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.kv_bytes import KvHistory, KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.lpips import JudgeDistance
from leaderboard.metrics.psnr import Psnr
from leaderboard.metrics.ssim import Ssim
from leaderboard.metrics.token_agreement import TokenAgreement
from leaderboard.suites.base import Suite
from leaderboard.suites.classes import numbered_items
from var_spaces.evaluators.compose import read_prompts
from var_spaces.methods import register


@register
class Fidelity(Suite):
    """One image of each of the first 64 classes of any class model, from the same noise as with
    full cache and plain decoding."""

    name = "fidelity"
    title = "Fidelity to the full cache, 64 images"

    version = 1
    task = "generate"
    minutes = 1
    against_full = True

    def items(self) -> Sequence[Item]:
        return numbered_items(range(64))

    def metrics(self) -> tuple[Metric, ...]:
        return (
            TokenAgreement(), Psnr(), Ssim(), JudgeDistance(), KvHistory(), KvPeak(), Latency(),
        )  # fmt: skip


@register
class FidelityText(Fidelity):
    """The same for text models: seven prompts of each of ten categories."""

    name = "fidelity-text"
    title = "Fidelity to the full cache, 70 prompts"

    version = 2
    task = "text-to-image"

    def items(self) -> Sequence[Item]:
        prompts = [prompt.text for prompt in read_prompts(7)]
        return [Item(index, {"prompt": text}) for index, text in enumerate(prompts)]
