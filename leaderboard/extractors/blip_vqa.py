"""BLIP answers questions about an image (Li et al. 2022, arXiv 2201.12086), by transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from leaderboard.extractors.base import Extractor
from leaderboard.extractors.files import digest, hub_file
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np
    import torch

REPOSITORY = "Salesforce/blip-vqa-capfilt-large"
FILES = ("model.safetensors", "config.json", "preprocessor_config.json", "tokenizer.json")


@register
class BlipVqa(Extractor):
    """Answers, not features."""

    name = "blip-vqa"
    title = "BLIP VQA (ViT-L)"
    paper = "https://arxiv.org/abs/2201.12086"

    resize: ClassVar[str] = "its own"
    dim: ClassVar[int] = 0

    def weights_sha256(self) -> str:
        return digest(hub_file(REPOSITORY, *FILES))

    def load(self, device: torch.device) -> BlipNetwork:
        return BlipNetwork(str(hub_file(REPOSITORY, *FILES).parent), device)


class BlipNetwork:
    """Args:
    folder: model folder of transformers.
    """

    def __init__(self, folder: str, device: torch.device) -> None:
        from transformers import BlipForQuestionAnswering, BlipProcessor

        self.model = BlipForQuestionAnswering.from_pretrained(folder).eval().to(device)
        self.process, self.device = BlipProcessor.from_pretrained(folder), device

    def ask(self, image: np.ndarray, questions: Sequence[str]) -> list[bool]:
        """Whether each question about an image ``(H, W, 3)`` uint8 is answered "yes"."""
        import torch

        inputs = self.process(
            images=[image] * len(questions), text=list(questions), padding=True, return_tensors="pt"
        ).to(self.device)
        with torch.no_grad():
            ids = self.model.generate(**inputs)
        answers = self.process.batch_decode(ids, skip_special_tokens=True)
        return [answer.strip().lower() == "yes" for answer in answers]
