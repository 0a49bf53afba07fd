"""The embedded CLIP as a reward and as features; both work offline, on the embedded scenes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from var_spaces.decoding.search.scoring import Asked, Describe, Features, Reward, Score
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch

TENFOLD = 10  # then candidates of a prompt differ by about one, as with ImageReward


@register
class ClipReward(Reward):
    """Ten times the cosine between image and words, -10 to 10."""

    name = "clip"
    title = "Embedded CLIP: image and words"
    paper = "https://arxiv.org/abs/2104.08718"

    def check(self, asked: Asked) -> None:
        if not asked.text:
            raise VarSpacesError(
                "Reward 'clip' compares an image with words, and this run asks for nothing: give a "
                "prompt or a class, or choose another decoding."
            )

    def load(self, asked: Sequence[Asked], device: torch.device) -> Score:
        from var_spaces.evaluators.clip import embedded

        for one in asked:
            self.check(one)
        clip = embedded(device)
        texts = clip.texts([one.text for one in asked])

        def score(images: Any, which: Sequence[int]) -> torch.Tensor:
            return TENFOLD * (clip.images(images) * texts[list(which)]).sum(1)

        return score


@register
class ClipFeatures(Features):
    """The third of its four residual stages: one patch per 16 pixels."""

    name = "clip"
    title = "Embedded CLIP: a feature map"
    paper = "https://arxiv.org/abs/2103.00020"

    def load(self, device: torch.device) -> Describe:
        import torch

        from var_spaces.evaluators.clip import embedded
        from var_spaces.evaluators.pixels import as_batch

        network = embedded(device).network

        @torch.no_grad()
        def describe(images: Any) -> torch.Tensor:
            batch = as_batch(images, network.config.image_size).to(device)
            return network.visual.maps(batch)[-2].flatten(2).transpose(1, 2)

        return describe
