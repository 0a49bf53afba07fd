"""DINOv2 with registers as features, those of TTS-VAR; fetched from the Hub when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from var_spaces.decoding.search.scoring import Describe, Features
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
PATCHES = 16  # along a side


@register
class DINOv2Features(Features):
    """Normed patch tokens of the last block, 16 x 16 of them."""

    name = "dinov2"
    title = "DINOv2: patch tokens"
    paper = "https://arxiv.org/abs/2304.07193"

    checkpoint: str = Field(
        "facebook/dinov2-with-registers-large", description="repository on the Hub, or a folder"
    )

    def load(self, device: torch.device) -> Describe:
        import torch
        from transformers import AutoModel

        from var_spaces.evaluators.pixels import as_batch

        try:
            model = AutoModel.from_pretrained(self.checkpoint).to(device).eval()
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise VarSpacesError(
                f"Features 'dinov2' cannot be loaded from {self.checkpoint}: {reason} Choose "
                "features 'clip', which come with the project."
            ) from None
        config = model.config
        mean, std = (torch.tensor(x, device=device).view(3, 1, 1) for x in (MEAN, STD))
        first = 1 + getattr(config, "num_register_tokens", 0)

        @torch.no_grad()
        def describe(images: Any) -> torch.Tensor:
            batch = as_batch(images, PATCHES * config.patch_size).to(device)
            pixels = ((batch + 1) / 2 - mean) / std
            return model(pixel_values=pixels).last_hidden_state[:, first:].float()

        return describe
