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
from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.backbones.block_attention import block_attend, own_scale
from var_spaces.backbones.context import RunContext
from var_spaces.backbones.extension import Extension
from var_spaces.backbones.hmar_config import HMARConfig
from var_spaces.backbones.layers import AdaLNBlock, AdaLNHead
from var_spaces.backbones.var import VAR
from var_spaces.backbones.walk import AfterBlock, RunBlock, beside_pinned
from var_spaces.cache.kv import KVCache
from var_spaces.schedule import ScaleSchedule


@dataclass(frozen=True, eq=False, kw_only=True)
class HMARContext(RunContext[Tensor]):
    """A run of one of the two paths; they share what concerns the base blocks.

    Attributes:
        masked: the same run on the path that predicts masked tokens; None on that path itself.
    """

    masked: RunContext | None = None

    def gather_rows(self, index: Tensor) -> Self:
        masked = self.masked and self.masked.gather_rows(index)
        return replace(super().gather_rows(index), masked=masked)

    def extended(self, extension: Extension) -> Self:
        masked = self.masked and self.masked.extended(extension)
        return replace(super().extended(extension), masked=masked)


class HMAR(VAR):
    """A VAR without history whose last blocks and head exist twice."""

    ignored_keys = (
        r"lvl_1L",
        r"attn_bias_for_masking",
        r"(base|ns|mask)_blocks\.\d+\.attn\.zero_k_bias",
    )

    config: HMARConfig

    def __init__(self, config: HMARConfig) -> None:
        super().__init__(config)
        self.mask_blocks, self.mask_head_nm, self.mask_head = copy.deepcopy(
            (self.ns_blocks, self.ns_head_nm, self.ns_head)
        )
        # The published files keep the bias apart: it counts once where two embeddings are added.
        self.word_embed_bias, self.word_embed.bias = self.word_embed.bias, None
        self.mask_embed = nn.Embedding(1, config.width)
        self.start_masked_branch()

    def build_blocks(self, blocks: list[AdaLNBlock], norm: AdaLNHead, head: nn.Linear) -> None:
        shared = self.config.depth - self.config.branch
        self.base_blocks = nn.ModuleList(blocks[:shared])
        self.ns_blocks = nn.ModuleList(blocks[shared:])
        self.ns_head_nm, self.ns_head = norm, head

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

    def context(self, cond: Tensor, schedule: ScaleSchedule | None = None) -> HMARContext:
        """What all scales of a run share, on both paths, for a condition ``(B, C)``."""
        shared = self.shared_ada_lin(cond)
        base, *branches = (
            tuple(block.modulation(shared) for block in blocks)
            for blocks in (self.base_blocks, self.ns_blocks, self.mask_blocks)
        )
        heads = (self.ns_head_nm, self.mask_head_nm)
        plain, masked = (
            HMARContext(
                schedule=self.schedule, cond=cond, blocks=base + own, head=head.modulation(cond)
            )
            for own, head in zip(branches, heads, strict=True)
        )
        return replace(plain, masked=masked)

    def path(self, masked: bool = False) -> tuple[list[AdaLNBlock], AdaLNHead, nn.Linear]:
        """Blocks, norm and head of a prediction."""
        if masked:
            return [*self.base_blocks, *self.mask_blocks], self.mask_head_nm, self.mask_head
        return [*self.base_blocks, *self.ns_blocks], self.ns_head_nm, self.ns_head

    def embed_scale(self, tokens: Tensor, scale: int, context: HMARContext) -> Tensor:
        """Input ``(B, l_k, C)`` float32 of scale k >= 1 from the tokenizer's ``(B, l_k, z)``."""
        return self._embed(tokens) + (self.place(scale) + self.word_embed_bias).float()

    def embed_masked(
        self, tokens: Tensor, own: Tensor, masked: Tensor, scale: int, context: HMARContext
    ) -> Tensor:
        """Input ``(B, l_k, C)`` of scale k >= 1 of which some tokens are known.

        Args:
            tokens: what the scales before it add up to, ``(B, l_k, z)``.
            own: what the tokens of this scale add, ``(B, l_k, z)``.
            masked: where they are to be predicted, ``(B or 1, l_k)`` bool.
        """
        return self.embed_scale(tokens, scale, context) + self._known(own, masked)

    def _embed(self, tokens: Tensor) -> Tensor:
        weight = self.word_embed.weight
        return F.linear(tokens.to(weight.dtype), weight).float()

    def _known(self, own: Tensor, masked: Tensor) -> Tensor:
        return torch.where(masked[..., None], self.mask_embed.weight.float(), self._embed(own))

    def running(self, scales: range, context: HMARContext) -> RunBlock:
        """Blocks of the path that the context is for."""
        layers = self.path(context.masked is None)[0]
        return lambda b, x, attend: layers[b](x, context.blocks[b], attend)

    def forward_scale(
        self,
        x: Tensor,
        scales: range,
        context: HMARContext,
        cache: KVCache | None = None,
        blocks: Sequence[int] | None = None,
        after: AfterBlock | None = None,
    ) -> Tensor:
        """As :meth:`Walker.forward_scale`; a scale sees itself only, whatever ``cache`` is."""
        attend_of = beside_pinned(context, own_scale)
        return self.walk(x, scales, context, attend_of, blocks, after)

    def logits(self, hidden: Tensor, context: HMARContext) -> Tensor:
        """Logits ``(B, l, V)`` float32 of hidden states ``(B, l, C)``, by the context's path."""
        _, norm, head = self.path(context.masked is None)
        return head(norm(hidden, context.head).to(head.weight.dtype)).float()

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
        context = self.context(self.condition(labels, styles))
        context = self.taught(context if own is None else context.masked)
        first = context.cond.float().unsqueeze(1) + self.pos_start.float()
        rest = self._embed(tokens) + self.word_embed_bias.float()
        if own is not None:
            rest = rest + self._known(own, masked)
        place = self.lvl_embed(self.levels) + self.pos_1LC
        x = torch.cat((first, rest), dim=1) + place.float()
        scales = range(self.schedule.num_scales)
        first, *others = self.schedule.lengths
        attend = block_attend((first + context.extension.front, *others))
        return self.logits(self.teach(x, scales, context, attend), context)
