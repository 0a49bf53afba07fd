"""HPS v2.1, human preference score; needs open_clip and a download of a ViT-H/14."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from var_spaces.decoding.search.scoring import Asked, Reward, Score
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register
from var_spaces.zoo.source import Source

if TYPE_CHECKING:
    import torch

WEIGHTS = Source(repository="xswu/HPSv2", files=("HPS_v2.1_compressed.pt",))


@lru_cache(maxsize=1)
def hps(device: torch.device) -> tuple[Any, Any, Any]:
    """open_clip, the network and what prepares a picture for it.

    Raises:
        VarSpacesError: if the package or the weights cannot be had, before anything is built.
    """
    try:
        import open_clip
    except ImportError:
        raise VarSpacesError(
            "Reward 'hps' needs a package: pip install 'var-spaces[rewards]'."
        ) from None
    from var_spaces.zoo.hub import fetch
    from var_spaces.zoo.weight_files import read_state

    state = read_state(fetch(WEIGHTS), nested=[("state_dict",)])
    model, _, prepare = open_clip.create_model_and_transforms("ViT-H-14", device=device)
    model.load_state_dict(state)
    return open_clip, model.eval(), prepare


@register
class HPSReward(Reward):
    """Cosine of a CLIP that was tuned on human choices, about 0.2 to 0.35."""

    name = "hps"
    title = "HPS v2.1"
    paper = "https://arxiv.org/abs/2306.09341"

    def load(self, asked: Sequence[Asked], device: torch.device) -> Score:
        import torch
        from PIL import Image

        open_clip, model, prepare = hps(device)
        words = open_clip.get_tokenizer("ViT-H-14")([one.text for one in asked]).to(device)
        with torch.no_grad():
            texts = model.encode_text(words, normalize=True)

        @torch.no_grad()
        def score(images: Any, which: Sequence[int]) -> torch.Tensor:
            batch = torch.stack([prepare(Image.fromarray(image)) for image in images]).to(device)
            return (model.encode_image(batch, normalize=True) * texts[list(which)]).sum(1)

        return score
