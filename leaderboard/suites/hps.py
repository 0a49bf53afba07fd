"""The benchmark of HPS v2: 3200 prompts of four styles."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.extractors.files import data_file
from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.hps import Hps
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.suites.base import Suite
from leaderboard.suites.files import read_json
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

URL = "https://huggingface.co/datasets/zhwang/HPDv2/tree/main/benchmark"


@register
class HpsSuite(Suite):
    """One image of each prompt, styles in the order of their names."""

    name = "hps"
    title = "HPS v2 benchmark, 3200 prompts"
    paper = "https://arxiv.org/abs/2306.09341"

    version = 1
    task = "text-to-image"
    downloads = (
        "anime.json, concept-art.json, paintings.json and photo.json (zhwang/HPDv2, benchmark)",
        "xswu/HPSv2: HPS_v2.1_compressed.pt",
        "a published text model; a GPU",
    )

    def items(self) -> Sequence[Item]:
        found: list[Item] = []
        for style in Hps.groups:
            path = data_file(f"hps/{style}.json", URL)
            prompts = read_json(path)
            if not isinstance(prompts, list) or not all(isinstance(p, str) for p in prompts):
                raise VarSpacesError(f"{path} is no list of prompts: download it again from {URL}.")
            for prompt in prompts:
                facts = {"group": style, "caption": prompt}
                found.append(Item(len(found), {"prompt": prompt}, facts))
        return found

    def metrics(self) -> tuple[Metric, ...]:
        return (Hps(), KvPeak(), Latency())
