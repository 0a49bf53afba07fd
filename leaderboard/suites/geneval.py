"""GenEval: 553 prompts, four images each."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.extractors.files import data_file
from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.geneval import GenEval
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.suites.base import Suite
from leaderboard.suites.files import read_json_lines
from var_spaces.methods import register

NAME = "geneval/evaluation_metadata.jsonl"
URL = "https://github.com/djghosh13/geneval/blob/main/prompts/evaluation_metadata.jsonl"
EACH = 4


@register
class GenEvalSuite(Suite):
    """As the authors': mean over the six tasks; the detector is named in the metric."""

    name = "geneval"
    title = "GenEval, 553 prompts"
    paper = "https://arxiv.org/abs/2310.11513"

    version = 1
    task = "text-to-image"
    downloads = (
        "evaluation_metadata.jsonl (djghosh13/geneval)",
        "facebook/mask2former-swin-small-coco-instance",
        "timm/vit_large_patch14_clip_224.openai",
        "a published text model; a GPU",
    )

    def items(self) -> Sequence[Item]:
        prompts = read_json_lines(data_file(NAME, URL))
        return [
            Item(
                number * EACH + copy,
                {"prompt": data["prompt"]},
                {"group": data["tag"], "metadata": data, "caption": data["prompt"]},
            )
            for number, data in enumerate(prompts)
            for copy in range(EACH)
        ]

    def metrics(self) -> tuple[Metric, ...]:
        return (GenEval(), KvPeak(), Latency())
