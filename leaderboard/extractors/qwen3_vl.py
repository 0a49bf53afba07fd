"""Qwen3-VL answers questions about an image; any vision-language model of transformers would.

Qwen team 2025 (arXiv 2511.21631). Asked is for how probable it holds an answer: the softmax of the
first token of its reply, summed over the ways to write the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from leaderboard.extractors.base import Extractor
from leaderboard.extractors.files import hub_folder
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch

    from leaderboard.extractors.vision_language import VisionLanguageNetwork

REPOSITORY = "Qwen/Qwen3-VL-8B-Instruct"


@register
class Qwen3Vl(Extractor):
    """Probabilities of answers, not features."""

    name = "qwen3-vl-8b"
    title = "Qwen3-VL 8B Instruct"
    paper = "https://arxiv.org/abs/2511.21631"

    resize: ClassVar[str] = "its own"
    dim: ClassVar[int] = 0

    def weights_sha256(self) -> str:
        from var_spaces.zoo.locate import digest_of

        return digest_of(hub_folder(REPOSITORY)[1])

    def load(self, device: torch.device) -> VisionLanguageNetwork:
        from leaderboard.extractors.vision_language import VisionLanguageNetwork

        return VisionLanguageNetwork(hub_folder(REPOSITORY)[0], device)
