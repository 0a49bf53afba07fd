"""ImgEdit-Judge: a Qwen2.5-VL 7B that its authors taught to rate edits as GPT-4o does for ImgEdit.

Ye et al. 2025 (arXiv 2505.20275), section 4. Its weights lie in the data set of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from leaderboard.extractors.base import Extractor
from leaderboard.extractors.files import data_file
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch

    from leaderboard.extractors.vision_language import VisionLanguageNetwork

FOLDER = "imgedit/ImgEdit_Judge"
URL = "https://huggingface.co/datasets/sysuyy/ImgEdit (ImgEdit_Judge)"
# It was taught on pictures of so many pixels.
SIZE = {"shortest_edge": 1016064, "longest_edge": 1354752}


@register
class ImgEditJudge(Extractor):
    """Ratings in words, not features."""

    name = "imgedit-judge"
    title = "ImgEdit-Judge"
    paper = "https://arxiv.org/abs/2505.20275"

    resize: ClassVar[str] = "1.0 to 1.35 megapixels"
    dim: ClassVar[int] = 0

    def weights_sha256(self) -> str:
        from var_spaces.zoo.locate import digest_of, weight_files

        return digest_of(weight_files(data_file(FOLDER, URL)))

    def load(self, device: torch.device) -> VisionLanguageNetwork:
        from leaderboard.extractors.vision_language import VisionLanguageNetwork

        return VisionLanguageNetwork(data_file(FOLDER, URL), device, size=SIZE)
