"""HMAR, Markov next-scale prediction with masked refinement (https://arxiv.org/abs/2506.04421).

A scale sees nothing but itself: what came before reaches it through its input, ``f_hat`` at its
resolution, so there is no KV cache. The last blocks and the head exist twice. One branch predicts
the tokens of the next scale; the other predicts masked tokens of a scale from the rest of it, as
often as wanted. The parameter names are those of the published files.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.backbones.block_attention import block_attend, own_scale
from var_spaces.backbones.hmar_config import HMARConfig
from var_spaces.backbones.layers import AdaLNBlock, AdaLNHead
from var_spaces.backbones.var import VAR, Modulation
from var_spaces.cache.kv import KVCache
from var_spaces.schedule import ScaleSchedule


class Branches(NamedTuple):
    """Modulation of both paths; they share that of the base blocks."""

    next_scale: Modulation
    masked: Modulation

    def gather_rows(self, index: Tensor) -> Branches:
        """The modulation of rows ``index (B',)``."""
        return Branches(self.next_scale.gather_rows(index), self.masked.gather_rows(index))


class HMAR(VAR):
    """A VAR without history whose last blocks and head exist twice."""

    ignored_keys = (
        r"lvl_1L",
        r"attn_bias_for_masking",
        r"(base|ns|mask)_blocks\.\d+\.attn\.zero_k_bias",
    )

    def __init__(self, config: HMARConfig) -> None:
        super().__init__(config)
        blocks, head, norm, bias = self.blocks, self.head, self.head_nm, self.word_embed.bias
        del self.blocks, self.head, self.head_nm, self.bias
        shared = config.depth - config.branch
        self.base_blocks, self.ns_blocks = blocks[:shared], blocks[shared:]
        self.ns_head_nm, self.ns_head = norm, head
        self.mask_blocks, self.mask_head_nm, self.mask_head = copy.deepcopy(
            (self.ns_blocks, norm, head)
        )
        self.word_embed.bias = None
        self.word_embed_bias = bias
        self.mask_embed = nn.Embedding(1, config.width)
        self.start_masked_branch()

    @torch.no_grad()
    def start_masked_branch(self) -> None:
        """Let the mask branch begin as a copy of the other one, as its training does."""
        for branch in ("blocks", "head_nm", "head"):
            begun = getattr(self, f"ns_{branch}").state_dict()
            getattr(self, f"mask_{branch}").load_state_dict(begun)
        nn.init.trunc_normal_(self.mask_embed.weight, std=math.sqrt(1 / (3 * self.config.width)))

    def masked_parameters(self) -> list[nn.Parameter]:
        """What the second stage of training changes."""
        parts = (self.mask_blocks, self.mask_head_nm, self.mask_head, self.mask_embed)
        return [parameter for part in parts for parameter in part.parameters()]

    def modulation(self, cond: Tensor, schedule: ScaleSchedule | None = None) -> Branches:
        """Modulation of all blocks and both heads for a condition ``(B, C)``."""
        shared = self.shared_ada_lin(cond)
        base, *branches = (
            tuple(block.modulation(shared) for block in blocks)
            for blocks in (self.base_blocks, self.ns_blocks, self.mask_blocks)
        )
        heads = (self.ns_head_nm, self.mask_head_nm)
        return Branches(
            *(
                Modulation(base + branch, head.modulation(cond))
                for branch, head in zip(branches, heads, strict=True)
            )
        )

    def path(self, masked: bool) -> tuple[list[AdaLNBlock], AdaLNHead, nn.Linear]:
        """Blocks, norm and head of a prediction."""
        if masked:
            return [*self.base_blocks, *self.mask_blocks], self.mask_head_nm, self.mask_head
        return [*self.base_blocks, *self.ns_blocks], self.ns_head_nm, self.ns_head

    def embed_scale(self, tokens: Tensor, scale: int) -> Tensor:
        """Input ``(B, l_k, C)`` float32 of scale k >= 1 from the tokenizer's ``(B, l_k, z)``."""
        return self._embed(tokens) + (self.place(scale) + self.word_embed_bias).float()

    def embed_masked(self, tokens: Tensor, own: Tensor, masked: Tensor, scale: int) -> Tensor:
        """Input ``(B, l_k, C)`` of scale k >= 1 of which some tokens are known.

        Args:
            tokens: what the scales before it add up to, ``(B, l_k, z)``.
            own: what the tokens of this scale add, ``(B, l_k, z)``.
            masked: where they are to be predicted, ``(B or 1, l_k)`` bool.
        """
        return self.embed_scale(tokens, scale) + self._known(own, masked)

    def _embed(self, tokens: Tensor) -> Tensor:
        weight = self.word_embed.weight
        return F.linear(tokens.to(weight.dtype), weight).float()

    def _known(self, own: Tensor, masked: Tensor) -> Tensor:
        return torch.where(masked[..., None], self.mask_embed.weight.float(), self._embed(own))

    def forward_scale(
        self,
        x: Tensor,
        cond: Tensor,
        scale: int,
        cache: KVCache | None = None,
        blocks: Sequence[int] | None = None,
        modulation: Branches | None = None,
        *,
        masked: bool = False,
    ) -> Tensor:
        """Run one scale through the blocks of a path; it sees itself only, whatever ``cache`` is.

        Args:
            x: input of the scale, ``(B, l_k, C)``.
            cond: condition ``(B, C)``.
            scale: index of the scale.
            blocks: indices of the blocks of the path to run, ascending; None means all.
            modulation: ``self.modulation(cond)`` computed before, to save work.
            masked: take the branch that predicts masked tokens.

        Returns:
            Hidden states ``(B, l_k, C)`` float32 for :meth:`logits`.
        """
        modulations = (modulation or self.modulation(cond))[masked].blocks
        layers = self.path(masked)[0]
        for b in range(len(layers)) if blocks is None else blocks:
            x = layers[b](x, modulations[b], own_scale)
        return x

    def logits(
        self,
        hidden: Tensor,
        cond: Tensor,
        modulation: Branches | None = None,
        *,
        masked: bool = False,
    ) -> Tensor:
        """Logits ``(B, l, V)`` float32 of hidden states ``(B, l, C)`` of a path."""
        _, norm, head = self.path(masked)
        adaln = modulation[masked].head if modulation else norm.modulation(cond)
        return head(norm(hidden, adaln).to(head.weight.dtype)).float()

    def forward(
        self,
        labels: Tensor,
        tokens: Tensor,
        styles: Tensor | None = None,
        own: Tensor | None = None,
        masked: Tensor | None = None,
    ) -> Tensor:
        """Teacher forcing: logits of all scales at once under the block-diagonal mask.

        Args:
            labels: classes ``(B,)``.
            tokens: what the scales before each scale add up to, ``(B, L - l_0, z)``.
            styles: styles ``(B,)`` or None.
            own: what the tokens of each scale add, ``(B, L - l_0, z)``; takes the mask branch.
            masked: which of them are to be predicted, ``(B or 1, L - l_0)`` bool.

        Returns:
            Logits ``(B, L, V)`` float32.
        """
        cond = self.condition(labels, styles)
        first = cond.float().unsqueeze(1) + self.pos_start.float()
        rest = self._embed(tokens) + self.word_embed_bias.float()
        if own is not None:
            rest = rest + self._known(own, masked)
        place = self.lvl_embed(self.levels) + self.pos_1LC
        x = torch.cat((first, rest), dim=1) + place.float()
        attend = block_attend(self.schedule.lengths)
        layers, norm, head = self.path(own is not None)
        shared = self.shared_ada_lin(cond)
        for block in layers:
            x = block(x, block.modulation(shared), attend)
        return head(norm(x, norm.modulation(cond)).to(head.weight.dtype)).float()
