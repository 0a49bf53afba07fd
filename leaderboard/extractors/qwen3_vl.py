"""Qwen3-VL answers questions about an image; any vision-language model of transformers would.

Qwen team 2025 (arXiv 2511.21631). Asked is for how probable it holds an answer: the softmax of the
first token of its reply, summed over the ways to write the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from leaderboard.extractors.base import Extractor
from leaderboard.extractors.files import hub_folder
from var_spaces.methods import register

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch

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
        return VisionLanguageNetwork(hub_folder(REPOSITORY)[0], device)


class VisionLanguageNetwork:
    """Args:
    folder: model folder of transformers, with the processor and its chat template.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        dtype = "auto" if device.type == "cuda" else "float32"
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype)
        self.model, self.device = model.eval().to(device), device
        self.process = AutoProcessor.from_pretrained(folder)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        raise NotImplementedError("It answers questions; see probability()")

    def probability(self, image: np.ndarray, question: str, spellings: Iterable[str]) -> float:
        """How probable one of the spellings begins the reply.

        Args:
            image: ``(H, W, 3)`` uint8.
            question: as it is asked.
            spellings: of the right answer; of each the first token counts, once.
        """
        import torch
        from PIL import Image

        asked = [
            {"type": "image", "image": Image.fromarray(image)},
            {"type": "text", "text": question},
        ]
        inputs = self.process.apply_chat_template(
            [{"role": "user", "content": asked}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self.device)
        with torch.no_grad():
            logits = self.model(**inputs).logits[0, -1].float()
        return float(logits.softmax(0)[self._first_tokens(spellings)].sum())

    def _first_tokens(self, spellings: Iterable[str]) -> list[int]:
        words = self.process.tokenizer
        ids = (words(text, add_special_tokens=False).input_ids for text in spellings)
        return sorted({found[0] for found in ids if found})
