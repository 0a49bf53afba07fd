"""Models of transformers that look at pictures and answer in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch


class VisionLanguageNetwork:
    """Args:
    folder: model folder of transformers, with the processor and its chat template.
    process: settings of the processor that differ from those in the folder.
    """

    def __init__(self, folder: Path, device: torch.device, **process: Any) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        dtype = "auto" if device.type == "cuda" else "float32"
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype)
        self.model, self.device = model.eval().to(device), device
        self.process = AutoProcessor.from_pretrained(folder, **process)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        raise NotImplementedError("It answers in words; see probability() and reply()")

    def probability(self, image: np.ndarray, question: str, spellings: Iterable[str]) -> float:
        """How probable one of the spellings begins the reply.

        Args:
            image: ``(H, W, 3)`` uint8.
            question: as it is asked.
            spellings: of the right answer; of each the first token counts, once.
        """
        import torch

        with torch.no_grad():
            logits = self.model(**self._asked([image], question)).logits[0, -1].float()
        return float(logits.softmax(0)[self._first_tokens(spellings)].sum())

    def reply(self, images: Sequence[np.ndarray], question: str, limit: int) -> str:
        """The likeliest reply, word by word.

        Args:
            images: ``(H, W, 3)`` uint8, after the question in this order, each of its own size.
            limit: tokens after which it is cut.
        """
        inputs = self._asked(images, question, question_first=True)
        ids = self.model.generate(**inputs, max_new_tokens=limit, do_sample=False)
        said = ids[0, inputs["input_ids"].shape[1] :]
        return self.process.tokenizer.decode(said, skip_special_tokens=True)

    def _asked(
        self, images: Sequence[np.ndarray], question: str, question_first: bool = False
    ) -> Any:
        """Inputs of the model for one turn of a conversation."""
        from PIL import Image

        seen = [{"type": "image", "image": Image.fromarray(image)} for image in images]
        said = [{"type": "text", "text": question}]
        return self.process.apply_chat_template(
            [{"role": "user", "content": said + seen if question_first else seen + said}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self.device)

    def _first_tokens(self, spellings: Iterable[str]) -> list[int]:
        words = self.process.tokenizer
        ids = (words(text, add_special_tokens=False).input_ids for text in spellings)
        return sorted({found[0] for found in ids if found})
