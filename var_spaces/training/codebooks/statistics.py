"""Keeping a codebook in use while it trains: which codes are dead, and their resets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from var_spaces.tokenizers.residual_vq import MultiScaleQuantizer
from var_spaces.training.engine.optim import MuonAdamW

USAGE_DECAY = 0.99
DEAD_BELOW = 0.01  # expected uses per batch


class CodebookStatistics:
    """Moving average of how often each code is chosen.

    Args:
        vocab_size: codes *V* in the codebook.
    """

    def __init__(self, vocab_size: int, device: torch.device) -> None:
        self.counts = torch.zeros(vocab_size, device=device)

    @torch.no_grad()
    def update(self, ids: Sequence[Tensor]) -> None:
        flat = torch.cat([i.flatten() for i in ids])
        hits = torch.bincount(flat, minlength=self.counts.numel()).float()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(hits)
        self.counts.mul_(USAGE_DECAY).add_(hits, alpha=1 - USAGE_DECAY)

    def dead(self) -> Tensor:
        """Codes ``(D,)`` int64 that are hardly used."""
        return (self.counts < DEAD_BELOW).nonzero().squeeze(1)

    def revive(self, codes: Tensor) -> None:
        """Count codes that were moved as used like others."""
        self.counts[codes] = self.counts.mean()


@torch.no_grad()
def initialise_codebook(
    quantizer: MultiScaleQuantizer, f: Tensor, generator: torch.Generator
) -> None:
    """Fill the codebook with random latents, scaled by U(0.1, 1): residuals get ever smaller.

    Args:
        f: latents ``(B, z, H, W)`` of a batch.
    """
    vectors = f.permute(0, 2, 3, 1).reshape(-1, f.shape[1])
    weight = quantizer.embedding.weight
    pick = torch.randint(len(vectors), (len(weight),), generator=generator).to(f.device)
    scale = torch.empty(len(weight), 1).uniform_(0.1, 1, generator=generator).to(f.device)
    weight.copy_(vectors[pick] * scale)


@torch.no_grad()
def reset_dead_codes(
    quantizer: MultiScaleQuantizer,
    f: Tensor,
    statistics: CodebookStatistics,
    optimizer: MuonAdamW,
    generator: torch.Generator,
) -> int:
    """Move codes that are hardly used to what a random latent's nearest code leaves over.

    Returns:
        How many codes were moved.
    """
    weight = quantizer.embedding.weight
    dead = statistics.dead()
    if not len(dead):
        return 0
    vectors = f.permute(0, 2, 3, 1).reshape(-1, f.shape[1]).float()
    pick = torch.randint(len(vectors), (len(dead),), generator=generator).to(f.device)
    chosen = vectors[pick]
    move_codes(weight, dead, chosen - weight[quantizer.nearest(chosen)], optimizer)
    statistics.revive(dead)
    return len(dead)


@torch.no_grad()
def move_codes(weight: Tensor, codes: Tensor, to: Tensor, optimizer: MuonAdamW) -> None:
    """Set some codes ``(D,)`` of a codebook ``(V, z)`` to vectors ``(D, z)``."""
    weight[codes] = to
    # A moved code must not be dragged by the momentum of the code it replaces.
    for value in optimizer.state.get(weight, {}).values():
        if torch.is_tensor(value):
            value[codes] = 0
