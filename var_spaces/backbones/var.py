"""VAR, the class-conditional next-scale transformer (https://arxiv.org/abs/2404.02905, §3).

The parameter names are those of the published files. Nothing mutable lives in the module: a run
owns its KV cache, so any number of runs can be interleaved on one model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from var_spaces.backbones.block_attention import block_attend
from var_spaces.backbones.config import VARConfig
from var_spaces.backbones.context import RunContext
from var_spaces.backbones.extension import Extension
from var_spaces.backbones.layers import (
    AdaLNBlock,
    AdaLNHead,
    derived_device,
    initialise_linears,
)
from var_spaces.backbones.walk import RunBlock, Walker
from var_spaces.cache.beside import Attend
from var_spaces.schedule import ScaleSchedule

Extend = Callable[[RunContext], Extension]


class VAR(Walker):
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
        self.build_places()
        self.shared_ada_lin = (
            nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
            if config.shared_aln
            else nn.Identity()
        )
        blocks = [
            AdaLNBlock(
                width,
                config.heads,
                hidden=round(width * config.mlp_ratio),
                shared=config.shared_aln,
                l2_norm=config.attn_l2_norm,
                eps=config.norm_eps,
            )
            for _ in range(config.depth)
        ]
        norm = AdaLNHead(width, config.norm_eps)
        self.build_blocks(blocks, norm, nn.Linear(width, config.vocab_size))
        self.initialise()

    def build_places(self) -> None:
        """What says where a token is: embeddings of its scale and of its position."""
        self.pos_1LC = nn.Parameter(torch.zeros(1, self.schedule.total, self.config.width))
        self.lvl_embed = nn.Embedding(self.schedule.num_scales, self.config.width)
        device = derived_device()
        scales = torch.arange(self.schedule.num_scales, device=device)
        lengths = torch.tensor(self.schedule.lengths, device=device)
        self.register_buffer("levels", scales.repeat_interleave(lengths), persistent=False)

    def build_blocks(self, blocks: list[AdaLNBlock], norm: AdaLNHead, head: nn.Linear) -> None:
        """Keep blocks, last norm and output projection under their published names."""
        self.blocks = nn.ModuleList(blocks)
        self.head_nm, self.head = norm, head

    def path(self) -> tuple[list[AdaLNBlock], AdaLNHead, nn.Linear]:
        """Blocks, norm and head of next-scale prediction."""
        return list(self.blocks), self.head_nm, self.head

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
        self.initialise_places(std)
        blocks, last, output = self.path()
        output.weight.mul_(head)
        last.ada_lin[1].weight.mul_(adaln)
        for block in blocks:
            block.attn.proj.weight.div_(math.sqrt(2 * self.config.depth))
            block.ffn.fc2.weight.div_(math.sqrt(2 * self.config.depth))
            if self.config.shared_aln:
                block.ada_gss.normal_().div_(math.sqrt(width))
                block.ada_gss[:, :, :2].mul_(gate)
                block.ada_gss[:, :, 2:].mul_(adaln)
            else:
                block.ada_lin[1].weight[: 2 * width].mul_(gate)
                block.ada_lin[1].weight[2 * width :].mul_(adaln)

    def initialise_places(self, std: float) -> None:
        """Draw fresh positions."""
        nn.init.trunc_normal_(self.pos_1LC, std=std)

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

    def context(self, cond: Tensor, schedule: ScaleSchedule | None = None) -> RunContext:
        """What all scales of a run share, for a condition ``(B, C)``.

        Its positions are learned, so ``schedule`` can only be the model's own.
        """
        blocks, norm, _ = self.path()
        shared = self.shared_ada_lin(cond)
        return RunContext(
            schedule=self.schedule,
            cond=cond,
            blocks=tuple(block.modulation(shared) for block in blocks),
            head=norm.modulation(cond),
        )

    def start(self, context: RunContext) -> Tensor:
        """Input of scale 0, ``(B, l_0, C)`` float32: the condition at every position."""
        place = self.pos_start + self.place(0)
        return context.cond.float().unsqueeze(1) + place.float()

    def embed_scale(self, tokens: Tensor, scale: int, context: RunContext) -> Tensor:
        """Input ``(B, l_k, C)`` float32 of scale k >= 1 from the tokenizer's ``(B, l_k, z)``."""
        tokens = tokens.to(self.word_embed.weight.dtype)
        return self.word_embed(tokens).float() + self.place(scale).float()

    def place(self, scale: int) -> Tensor:
        """Level and position embedding of one scale, ``(1, l_k, C)``."""
        return self.lvl_embed.weight[scale] + self.pos_1LC[:, self.schedule.span(scale)]

    def running(self, scales: range, context: RunContext) -> RunBlock:
        """Blocks that know their tokens' places from ``x`` itself."""
        layers = self.path()[0]
        return lambda b, x, attend: layers[b](x, context.blocks[b], attend)

    def logits(self, hidden: Tensor, context: RunContext) -> Tensor:
        """Logits ``(B, l, V)`` float32 of hidden states ``(B, l, C)``."""
        _, norm, head = self.path()
        return head(norm(hidden, context.head).to(head.weight.dtype)).float()

    def forward(
        self,
        labels: Tensor,
        tokens: Tensor,
        styles: Tensor | None = None,
        blocks: Sequence[int] | None = None,
        bridge: int = 0,
        extend: Extend | None = None,
    ) -> Tensor:
        """Teacher forcing: logits of all scales at once under the block-causal mask.

        Args:
            labels: classes ``(B,)``.
            tokens: tokenizer inputs of scales 1.. concatenated, ``(B, L - l_0, z)``; fewer scales
                give logits of those scales only (progressive training).
            styles: styles ``(B,)`` or None.
            blocks: indices of the blocks to run; None means all.
            bridge: number of first scales that all blocks run nevertheless (see depth.py).
            extend: makes what an adapter adds.

        Returns:
            Logits ``(B, L, V)`` float32.

        Raises:
            VarSpacesError: if ``tokens`` does not end where a scale ends.
        """
        length = self.schedule.lengths[0] + tokens.shape[1]
        scales = range(self.schedule.scales_of(length))
        context = self.context(self.condition(labels, styles))
        context = self.taught(context if extend is None else context.extended(extend(context)))
        first = context.cond.float().unsqueeze(1) + self.pos_start.float()
        rest = self.word_embed(tokens.to(self.word_embed.weight.dtype)).float()
        place = self.lvl_embed(self.levels[:length]) + self.pos_1LC[:, :length]
        x = torch.cat((first, rest), dim=1) + place.float()

        attend = self._masked(len(scales), context.extension.front)
        early = self.schedule.offsets[min(bridge, len(scales))]
        if blocks is None or not early:
            return self.logits(self.teach(x, scales, context, attend, blocks=blocks), context)
        run, attend_early = self.running(scales, context), self._masked(min(bridge, len(scales)))

        def bridged(b: int, x: Tensor, attend: Attend) -> Tensor:
            if b in blocks:
                return run(b, x, attend)
            return torch.cat((run(b, x[:, :early], attend_early), x[:, early:]), dim=1)

        return self.logits(self.teach(x, scales, context, attend, bridged), context)

    def taught(self, context: RunContext) -> RunContext:
        """A context with the stochastic depth of its configuration, while the model is trained."""
        return context.thinned(self.config.drop_path if self.training else 0.0)

    def _masked(self, scales: int, front: int = 0) -> Attend:
        """Attention of the first ``scales`` of a sequence."""
        first, *others = self.schedule.lengths[:scales]
        return block_attend((front + first, *others), "causal")
