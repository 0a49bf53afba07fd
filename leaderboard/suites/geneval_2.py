"""GenEval 2: 800 prompts of growing length, judged by questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leaderboard.extractors.files import data_file
from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.soft_tifa import SoftTifaAm, SoftTifaGm
from leaderboard.suites.base import Suite
from leaderboard.suites.files import read_json_lines
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

NAME = "geneval2/geneval2_data.jsonl"
URL = "https://github.com/facebookresearch/GenEval2/blob/main/geneval2_data.jsonl"


@register
class GenEval2Suite(Suite):
    """One image of each prompt. The questions are under CC BY-NC 4.0 and not part of this project;
    who answers them is named in the metric."""

    name = "geneval-2"
    title = "GenEval 2, 800 prompts"
    paper = "https://arxiv.org/abs/2512.16853"

    version = 1
    task = "text-to-image"
    downloads = (
        "geneval2_data.jsonl (facebookresearch/GenEval2)",
        "Qwen/Qwen3-VL-8B-Instruct",
        "a published text model; a GPU",
    )

    def items(self) -> Sequence[Item]:
        path = data_file(NAME, URL)
        return [_item(path, index, data) for index, data in enumerate(read_json_lines(path))]

    def metrics(self) -> tuple[Metric, ...]:
        return (SoftTifaGm(), SoftTifaAm(), KvPeak(), Latency())


def _item(path: Path, index: int, data: Mapping[str, Any]) -> Item:
    """A prompt with its questions, refused as a whole if anything of it is missing."""
    try:
        questions = [
            {"text": str(text), "answer": str(answer), "skill": str(skill)}
            for (text, answer), skill in zip(data["vqa_list"], data["skills"], strict=True)
        ]
        facts = {"questions": questions, "atoms": int(data["atom_count"])}
        if not questions:
            raise ValueError
        return Item(index, {"prompt": str(data["prompt"])}, facts)
    except (KeyError, TypeError, ValueError):
        raise VarSpacesError(
            f"Prompt {index + 1} of {path} needs 'prompt', 'atom_count', and a skill for each "
            "question: download the file again."
        ) from None
