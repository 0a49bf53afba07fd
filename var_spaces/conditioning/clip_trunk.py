"""The trunk of the embedded CLIP as an encoder of reference pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from var_spaces.conditioning.image import EncodeImages, ImageEncoder
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch
    from torch import Tensor

ALONG = 4  # patches along the 64 pixels that it reads


@register
class ClipTrunk(ImageEncoder):
    """The maps of its last two stages, 768 channels, one patch per 16 pixels.

    The deeper map, of half the side, says what a thing is, the other one how it looks; the token of
    the whole is the mean of the patches. It comes with this project and knows its drawings only.
    """

    name = "clip-trunk"
    title = "Embedded CLIP: its trunk"
    paper = "https://arxiv.org/abs/2103.00020"

    def patches(self, side: int) -> int:
        return ALONG**2

    def load(self, device: torch.device | str) -> EncodeImages:
        import torch
        import torch.nn.functional as F

        from var_spaces.evaluators.clip import embedded
        from var_spaces.evaluators.pixels import as_batch

        network = embedded(device).network

        @torch.no_grad()
        def encode(images: Tensor) -> Tensor:
            batch = as_batch(images, network.config.image_size).to(device)
            fine, deep = network.visual.maps(batch)[-2:]
            deep = F.interpolate(deep, fine.shape[-2:], mode="nearest")
            # Norms differ between the stages; each is to count.
            parts = [F.normalize(part, dim=1) * part.shape[1] ** 0.5 for part in (fine, deep)]
            patches = torch.cat(parts, 1).flatten(2).transpose(1, 2)
            return torch.cat([patches.mean(1, keepdim=True), patches], 1)

        return encode
