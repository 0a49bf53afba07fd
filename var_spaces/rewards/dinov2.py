"""DINOv2 with registers as features, those of TTS-VAR; fetched from the Hub when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.decoding.search.scoring import Describe, Features
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch

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
        from var_spaces.evaluators.dinov2 import dinov2

        try:
            network = dinov2(self.checkpoint, str(device))
        except VarSpacesError as error:
            raise VarSpacesError(
                f"{error} Choose features 'clip', which come with the project."
            ) from None
        return lambda images: network(images, PATCHES)[1]
