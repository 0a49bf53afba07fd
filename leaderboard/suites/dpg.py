"""DPG-Bench: 1065 dense prompts, four images each."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any

from leaderboard.extractors.files import data_file
from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.dpg import Dpg
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.suites.base import Suite
from var_spaces.methods import register

NAME = "dpg/dpg_bench.csv"
URL = "https://github.com/TencentQQGYLab/ELLA/blob/main/dpg_bench/dpg_bench.csv"
EACH = 4


@register
class DpgSuite(Suite):
    """Every prompt with its questions and their dependencies."""

    name = "dpg"
    title = "DPG-Bench, 1065 prompts"
    paper = "https://arxiv.org/abs/2403.05135"

    version = 1
    task = "text-to-image"
    downloads = (
        "dpg_bench.csv (TencentQQGYLab/ELLA)",
        "Salesforce/blip-vqa-capfilt-large",
        "a published text model; a GPU",
    )

    def items(self) -> Sequence[Item]:
        return [
            Item(number * EACH + copy, {"prompt": text}, {"caption": text, "questions": asked})
            for number, (text, asked) in enumerate(read_questions(data_file(NAME, URL)).values())
            for copy in range(EACH)
        ]

    def metrics(self) -> tuple[Metric, ...]:
        return (Dpg(), KvPeak(), Latency())


def read_questions(path: Any) -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """Prompt and questions by id of the prompt, in the order of the file."""
    found: dict[str, tuple[str, list[dict[str, Any]]]] = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            _, questions = found.setdefault(row["item_id"], (row["text"], []))
            parents = [p.strip() for p in row["dependency"].split(",")]
            questions.append(
                {
                    "id": row["proposition_id"].strip(),
                    "text": row["question_natural_language"],
                    "parents": [p for p in parents if p not in ("", "0")],
                }
            )
    return found
