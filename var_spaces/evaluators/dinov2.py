"""DINOv2 (https://arxiv.org/abs/2304.07193), run by transformers; fetched when first used."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.pixels import as_batch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


@lru_cache(maxsize=1)
def dinov2(checkpoint: str, device: str) -> DINOv2:
    """The frozen network, as :class:`DINOv2` reads it; the last one stays."""
    return DINOv2(checkpoint, device)


class DINOv2:
    """A frozen network.

    Args:
        checkpoint: repository on the Hub, or a folder.

    Raises:
        VarSpacesError: if it cannot be loaded.
    """

    def __init__(self, checkpoint: str, device: str) -> None:
        from transformers import AutoModel

        try:
            self.model = AutoModel.from_pretrained(checkpoint).to(device).eval()
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise VarSpacesError(f"DINOv2 cannot be loaded from {checkpoint}: {reason}") from None
        self.device = torch.device(device)
        self.registers = getattr(self.model.config, "num_register_tokens", 0)

    @torch.no_grad()
    def __call__(self, images: Any, patches: int) -> tuple[Tensor, Tensor]:
        """Normed tokens of the last block: of the class ``(B, E)``, of patches ``(B, S, E)``.

        Args:
            images: as :func:`as_batch` takes them.
            patches: patches along a side; S is their square, row by row.
        """
        batch = as_batch(images, patches * self.model.config.patch_size).to(self.device)
        mean, std = (torch.tensor(x, device=self.device).view(3, 1, 1) for x in (MEAN, STD))
        states = self.model(pixel_values=((batch + 1) / 2 - mean) / std).last_hidden_state.float()
        return states[:, 0], states[:, 1 + self.registers :]
