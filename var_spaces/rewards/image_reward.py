"""ImageReward, the reward of TTS-VAR; needs the package image-reward and a download."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from var_spaces.decoding.search.scoring import Asked, Reward, Score
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch


@lru_cache(maxsize=1)
def image_reward(device: torch.device) -> Any:
    """The network.

    Raises:
        VarSpacesError: if the package or the weights cannot be had.
    """
    try:
        import ImageReward
    except ImportError:
        raise VarSpacesError(
            "Reward 'image-reward' needs a package: pip install 'var-spaces[rewards]'."
        ) from None
    try:
        return ImageReward.load("ImageReward-v1.0", device=str(device))
    except Exception as error:
        raise VarSpacesError(
            f"Reward 'image-reward' could not be loaded ({type(error).__name__}): its weights are "
            "a download; try again with a connection, or choose another reward."
        ) from None


@register
class ImageRewardReward(Reward):
    """Human preference for an image of a prompt, about -2 to 2."""

    name = "image-reward"
    title = "ImageReward"
    paper = "https://arxiv.org/abs/2304.05977"

    def load(self, asked: Sequence[Asked], device: torch.device) -> Score:
        import torch

        model = image_reward(device)

        @torch.no_grad()
        def score(images: Any, which: Sequence[int]) -> torch.Tensor:
            from PIL import Image

            pairs = zip(images, which, strict=True)
            # one at a time: for a list its package ranks, and for one image it gives a number
            found = [model.score(asked[i].text, [Image.fromarray(image)]) for image, i in pairs]
            return torch.tensor(found)

        return score
