"""VAR, the class-conditional next-scale transformer (https://arxiv.org/abs/2404.02905, §3).

The parameter names are those of the published files. Nothing mutable lives in the module: a run
owns its KV cache, so any number of runs can be interleaved on one model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from var_spaces.backbones.config import VARConfig
from var_spaces.backbones.layers import (
    AdaLNBlock,
    AdaLNHead,
    block_causal_bias,
    compute_dtype,
    derived_device,
    initialise_linears,
    masked_attend,
)
from var_spaces.cache.kv import KVCache
from var_spaces.schedule import ScaleSchedule


class Modulation(NamedTuple):
    """What the condition does to every layer; computed once per run and reused at every scale.

    ``blocks[b]`` is ``(B, 1, 6, C)``, ``head`` is ``(B, 1, 2, C)``, both float32.
    """

    blocks: tuple[Tensor, ...]
    head: Tensor

    def gather_rows(self, index: Tensor) -> Modulation:
        """The modulation of rows ``index (B',)``."""
        return Modulation(tuple(m[index] for m in self.blocks), self.head[index])


class VAR(nn.Module):
    """Transformer over the token maps of a scale schedule, coarse to fine.

    Label ``num_classes`` is "no class" and style ``num_styles`` "no style": the unconditional rows
    of classifier-free guidance use both.
    """

    # Buffers of published files that follow from the configuration; a loader skips them.
    ignored_keys = (r"lvl_1L", r"attn_bias_for_masking", r"blocks\.\d+\.attn\.zero_k_bias")

    def __init__(self, config: VARConfig) -> None:
        super().__init__()
        self.config = config
        self.schedule = ScaleSchedule.square(config.patch_nums)
        self.num_classes = self.null_label = config.num_classes
        self.num_styles = self.null_style = config.num_styles
        width, first = config.width, self.schedule.lengths[0]

        self.word_embed = nn.Linear(config.latent_dim, width)
        self.class_emb = nn.Embedding(config.num_classes + 1, width)
        if config.num_styles:
            self.style_emb = nn.Embedding(config.num_styles + 1, width)
        self.pos_start = nn.Parameter(torch.zeros(1, first, width))
        self.pos_1LC = nn.Parameter(torch.zeros(1, self.schedule.total, width))
        self.lvl_embed = nn.Embedding(self.schedule.num_scales, width)
        self.shared_ada_lin = (
            nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
            if config.shared_aln
            else nn.Identity()
        )
        self.blocks = nn.ModuleList(
            AdaLNBlock(
                width,
                config.heads,
                hidden=round(width * config.mlp_ratio),
                shared=config.shared_aln,
                l2_norm=config.attn_l2_norm,
                eps=config.norm_eps,
                drop_path=config.drop_path * b / max(config.depth - 1, 1),
            )
            for b in range(config.depth)
        )
        self.head_nm = AdaLNHead(width, config.norm_eps)
        self.head = nn.Linear(width, config.vocab_size)

        device = derived_device()
        scales = torch.arange(self.schedule.num_scales, device=device)
        lengths = torch.tensor(self.schedule.lengths, device=device)
        self.register_buffer("levels", scales.repeat_interleave(lengths), persistent=False)
        self.register_buffer("bias", block_causal_bias(self.schedule), persistent=False)
        self.initialise()

    @classmethod
    def is_ignored(cls, key: str) -> bool:
        """Whether a key of a state dict names a derivable buffer that is not loaded."""
        return any(re.fullmatch(pattern, key) for pattern in cls.ignored_keys)

    @torch.no_grad()
    def initialise(self, *, gate: float = 1e-3, adaln: float = 0.5, head: float = 0.02) -> None:
        """Draw fresh weights as the published recipe does.

        Args:
            gate: factor on the rows that make the residual gates (published: 1e-3 for d16 and
                d20, 1e-4 for d24, 1e-5 for d30, 5e-6 for d36).
            adaln: factor on the other modulation rows.
            head: factor on the output projection.
        """
        width = self.config.width
        std = math.sqrt(1 / (3 * width))
        initialise_linears([self], std)
        nn.init.trunc_normal_(self.pos_start, std=std)
        nn.init.trunc_normal_(self.pos_1LC, std=std)
        self.head.weight.mul_(head)
        self.head_nm.ada_lin[1].weight.mul_(adaln)
        for block in self.blocks:
            block.attn.proj.weight.div_(math.sqrt(2 * self.config.depth))
            block.ffn.fc2.weight.div_(math.sqrt(2 * self.config.depth))
            if self.config.shared_aln:
                block.ada_gss.normal_().div_(math.sqrt(width))
                block.ada_gss[:, :, :2].mul_(gate)
                block.ada_gss[:, :, 2:].mul_(adaln)
            else:
                block.ada_lin[1].weight[: 2 * width].mul_(gate)
                block.ada_lin[1].weight[2 * width :].mul_(adaln)

    def kv_layout(self) -> tuple[int, int, int]:
        """``(layers, heads, head_dim)`` of the KV cache this model fills."""
        return self.config.depth, self.config.heads, self.config.width // self.config.heads

    def condition(self, labels: Tensor, styles: Tensor | None = None) -> Tensor:
        """Condition ``(B, C)`` of class labels ``(B,)`` and styles ``(B,)`` (None: no style)."""
        cond = self.class_emb(labels)
        if not self.config.num_styles:
            return cond
        if styles is None:
            styles = torch.full_like(labels, self.null_style)
        return cond + self.style_emb(styles)

    def modulation(self, cond: Tensor, schedule: ScaleSchedule | None = None) -> Modulation:
        """Modulation of all blocks and of the head for a condition ``(B, C)``.

        Its positions are learned, so ``schedule`` can only be the model's own.
        """
        shared = self.shared_ada_lin(cond)
        blocks = tuple(block.modulation(shared) for block in self.blocks)
        return Modulation(blocks, self.head_nm.modulation(cond))

    def start(self, cond: Tensor) -> Tensor:
        """Input of scale 0, ``(B, l_0, C)`` float32: the condition at every position."""
        place = self.pos_start + self.place(0)
        return cond.float().unsqueeze(1) + place.float()

    def embed_scale(self, tokens: Tensor, scale: int) -> Tensor:
        """Input ``(B, l_k, C)`` float32 of scale k >= 1 from the tokenizer's ``(B, l_k, z)``."""
        tokens = tokens.to(self.word_embed.weight.dtype)
        return self.word_embed(tokens).float() + self.place(scale).float()

    def place(self, scale: int) -> Tensor:
        """Level and position embedding of one scale, ``(1, l_k, C)``."""
        return self.lvl_embed.weight[scale] + self.pos_1LC[:, self.schedule.span(scale)]

    def forward_scale(
        self,
        x: Tensor,
        cond: Tensor,
        scale: int,
        cache: KVCache,
        blocks: Sequence[int] | None = None,
        modulation: Modulation | None = None,
        first: int | None = None,
    ) -> Tensor:
        """Run one scale through the blocks, reading and extending the KV cache.

        Args:
            x: input of the scale, ``(B, l_k, C)``.
            cond: condition ``(B, C)``.
            scale: index of the scale; the cache passes it to observers.
            cache: KV cache of this run, one row per row of ``x``.
            blocks: indices of the blocks to run (a sub-network), ascending; None means all. A
                block keeps its cache layer whatever the selection.
            modulation: ``self.modulation(cond)`` computed before, to save work.
            first: first of several scales that ``x`` holds; None: it holds ``scale`` alone.

        Returns:
            Hidden states ``(B, l_k, C)`` float32 for :meth:`logits`.
        """
        modulation = modulation or self.modulation(cond)
        cache.begin_scale(scale)
        for b in range(len(self.blocks)) if blocks is None else blocks:
            x = self.blocks[b](x, modulation.blocks[b], partial(cache.attend, b))
        return x

    def logits(self, hidden: Tensor, cond: Tensor, modulation: Modulation | None = None) -> Tensor:
        """Logits ``(B, l, V)`` float32 of hidden states ``(B, l, C)``."""
        adaln = modulation.head if modulation else self.head_nm.modulation(cond)
        return self.head(self.head_nm(hidden, adaln).to(self.head.weight.dtype)).float()

    def forward(
        self,
        labels: Tensor,
        tokens: Tensor,
        styles: Tensor | None = None,
        blocks: Sequence[int] | None = None,
        bridge: int = 0,
    ) -> Tensor:
        """Teacher forcing: logits of all scales at once under the block-causal mask.

        Args:
            labels: classes ``(B,)``.
            tokens: tokenizer inputs of scales 1.. concatenated, ``(B, L - l_0, z)``; fewer scales
                give logits of those scales only (progressive training).
            styles: styles ``(B,)`` or None.
            blocks: indices of the blocks to run; None means all.
            bridge: number of first scales that all blocks run nevertheless (see depth.py).

        Returns:
            Logits ``(B, L, V)`` float32.

        Raises:
            VarSpacesError: if ``tokens`` does not end where a scale ends.
        """
        length = self.schedule.lengths[0] + tokens.shape[1]
        self.schedule.scales_of(length)  # refuses a part of a scale
        cond = self.condition(labels, styles)
        first = cond.float().unsqueeze(1) + self.pos_start.float()
        rest = self.word_embed(tokens.to(self.word_embed.weight.dtype)).float()
        place = self.lvl_embed(self.levels[:length]) + self.pos_1LC[:, :length]
        x = torch.cat((first, rest), dim=1) + place.float()

        early = min(self.schedule.offsets[bridge], length)
        bias = self.bias.to(compute_dtype(self.head.weight))
        attend = masked_attend(bias[:length, :length])
        attend_early = masked_attend(bias[:early, :early])
        shared = self.shared_ada_lin(cond)
        for b, block in enumerate(self.blocks):
            if blocks is None or b in blocks:
                x = block(x, block.modulation(shared), attend)
            elif early:
                first = block(x[:, :early], block.modulation(shared), attend_early)
                x = torch.cat((first, x[:, early:]), dim=1)
        return self.logits(x, cond)
