"""Pictures as a tokenizer reconstructs them, for networks that must not mind its softness."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

TOKENIZERS = ("residual-vq", "bitwise")  # families whose reconstructions are shown


@torch.no_grad()
def soften(images: Tensor, tokenizers: Sequence[nn.Module], share: float, step: int) -> Tensor:
    """Pass an evenly spread ``share`` (0..1) of the images through a tokenizer, in place.

    Tokenizers take turns from step to step.
    """
    if tokenizers and share:
        place = (torch.arange(len(images) + 1, device=images.device) * share).floor()
        rows = place[1:] > place[:-1]
        if bool(rows.any()):  # a small share of a small batch may be none
            shown = tokenizers[step % len(tokenizers)].reconstruct(images[rows])
            images[rows] = shown.to(images.dtype)  # autocast may give bfloat16
    return images
