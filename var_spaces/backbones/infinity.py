"""Infinity, the text-conditional bitwise next-scale transformer (https://arxiv.org/abs/2412.04431).

The parameter names are those of the published files. Nothing mutable lives in the module: a run
owns its KV cache and its context, so runs can be interleaved on one model. A schedule of any
shape runs, because positions are rotary.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from var_spaces.backbones.block_attention import block_attend
from var_spaces.backbones.context import RunContext
from var_spaces.backbones.extension import Extension
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.infinity_layers import (
    Chunk,
    InfinityBlock,
    PooledText,
    RMSNorm,
    TextMemory,
)
from var_spaces.backbones.layers import (
    AdaLNHead,
    initialise_linears,
)
from var_spaces.backbones.rope import Rotary, rotary
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.backbones.text_refiner import TextRefiner
from var_spaces.backbones.walk import RunBlock, Walker
from var_spaces.cache.beside import Attend
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule


@dataclass(frozen=True, eq=False)
class TextCondition:
    """What the prompts of a batch are to the transformer.

    Attributes:
        pooled: one vector per prompt, ``(B, C)``.
        text: projected features for attention, ``(B, T, C)``, padded.
        mask: where there is text, ``(B, T)`` bool; None if there is no padding.
    """

    pooled: Tensor
    text: Tensor
    mask: Tensor | None

    @property
    def shape(self) -> torch.Size:
        return self.pooled.shape

    @property
    def device(self) -> torch.device:
        return self.pooled.device

    def __getitem__(self, index: Tensor) -> TextCondition:
        """The rows ``index (B',)``."""
        mask = None if self.mask is None else self.mask[index]
        return TextCondition(self.pooled[index], self.text[index], mask)


@dataclass(frozen=True, eq=False, kw_only=True)
class TextContext(RunContext[TextCondition]):
    """What follows from prompts and schedule.

    Attributes:
        rotary: positions of the whole schedule.
        memory: keys and values of the text, per block.
    """

    rotary: Rotary
    memory: tuple[TextMemory, ...]

    def gather_rows(self, index: Tensor) -> Self:
        memory = tuple(memory.gather_rows(index) for memory in self.memory)
        return replace(super().gather_rows(index), memory=memory)

    def extended(self, extension: Extension) -> Self:
        memory = tuple(extension.memory(b, memory) for b, memory in enumerate(self.memory))
        return replace(super().extended(extension), memory=memory)


class Infinity(Walker):
    """Transformer over the bit maps of a scale schedule, conditioned on text."""

    # Buffers of zeros that published files carry.
    ignored_keys = (r".*\.zero_k_bias",)

    def __init__(self, config: InfinityConfig) -> None:
        super().__init__()
        self.config = config
        self.schedule = ScaleSchedule.square(config.patch_nums)
        width = config.width

        self.cfg_uncond = nn.Parameter(torch.zeros(config.text_len, config.text_dim))
        self.pos_start = nn.Parameter(torch.zeros(1, 1, width))
        if config.text_blocks:
            sizes = (width, config.heads, config.hidden, config.text_blocks, config.norm_eps)
            self.text_refiner = TextRefiner(config.text_dim, *sizes)
        self.text_norm = RMSNorm(config.text_dim, config.norm_eps)
        self.text_proj_for_sos = PooledText(config.text_dim, width, config.pool_heads)
        self.text_proj_for_ca = nn.Sequential(
            nn.Linear(config.text_dim, width),
            nn.GELU(approximate="tanh"),
            nn.Linear(width, width),
        )
        self.lvl_embed = nn.Embedding(config.levels, width)
        self.word_embed = nn.Linear(config.latent_dim, width)
        self.shared_ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        blocks = [
            InfinityBlock(width, config.heads, config.hidden, config.norm_eps)
            for _ in range(config.depth)
        ]
        if config.chunks == 1:
            self.blocks = nn.ModuleList(blocks)
        else:
            size = config.depth // config.chunks
            parts = [blocks[i : i + size] for i in range(0, config.depth, size)]
            self.block_chunks = nn.ModuleList(Chunk(part) for part in parts)
        self.head_nm = AdaLNHead(width, config.norm_eps)
        self.head = nn.Linear(width, 2 * config.latent_dim)
        self.initialise()

    @property
    def layers(self) -> list[InfinityBlock]:
        """All blocks in order, whatever chunks they are kept in."""
        if self.config.chunks == 1:
            return list(self.blocks)
        return [block for chunk in self.block_chunks for block in chunk.module]

    @torch.no_grad()
    def initialise(self, *, gate: float = 5e-6, adaln: float = 1e-3, head: float = 0.02) -> None:
        """Draw fresh weights; the defaults are those of the published recipe.

        Args:
            gate: factor on what makes the residual gates.
            adaln: factor on the other modulation.
            head: factor on the output projection.
        """
        width = self.config.width
        std = math.sqrt(1 / (3 * width))
        initialise_linears([self], std)
        nn.init.trunc_normal_(self.pos_start, std=std)
        nn.init.trunc_normal_(self.text_proj_for_sos.ca.mat_q, std=std)
        self._initialise_empty_text(self.cfg_uncond)
        if self.config.text_blocks:
            self.text_refiner.leave.weight.zero_()
        self.head.weight.mul_(head)
        self.head_nm.ada_lin[1].weight.mul_(adaln)
        self.shared_ada_lin[1].weight[: 2 * width].mul_(gate)
        self.shared_ada_lin[1].weight[2 * width :].mul_(adaln)
        for block in self.layers:
            block.initialise(self.config.depth, gate, adaln)

    def _initialise_empty_text(self, rows: Tensor) -> None:
        generator = None if rows.is_meta else torch.Generator(rows.device).manual_seed(0)
        nn.init.trunc_normal_(rows, std=1.2, generator=generator)
        rows.div_(math.sqrt(self.config.text_dim))

    # --- weights --------------------------------------------------------------------------------

    def adapt_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A published state dict as this module spells it.

        Blocks are renumbered between chunked and flat files, attention factors are reshaped (an
        attention kernel that was never released wants another order), and rows of the learned empty
        text that the file lacks are drawn as at the start of training.
        """
        adapted = {}
        sizes = {key: value.shape for key, value in self.state_dict().items()}
        for key, value in state.items():
            key = self._own_block_key(key, state)
            if key.endswith("scale_mul_1H11") and value.numel() == self.config.heads:
                value = value.reshape(1, -1, 1, 1)
            adapted[key] = value
        rows = adapted.get("cfg_uncond")
        if rows is not None and rows.shape[-1] == self.config.text_dim:
            adapted["cfg_uncond"] = self._fitted_empty_text(rows, sizes["cfg_uncond"])
        return adapted

    def _fitted_empty_text(self, rows: Tensor, size: torch.Size) -> Tensor:
        if rows.shape == size:
            return rows
        fitted = torch.empty(size, dtype=torch.float32, device=rows.device)
        self._initialise_empty_text(fitted)
        shared = min(len(rows), len(fitted))
        fitted[:shared] = rows[:shared]
        return fitted

    def _own_block_key(self, key: str, state: Mapping[str, Tensor]) -> str:
        chunked = re.fullmatch(r"block_chunks\.(\d+)\.module\.(\d+)\.(.*)", key)
        flat = re.fullmatch(r"blocks\.(\d+)\.(.*)", key)
        if chunked:
            first = re.compile(r"block_chunks\.0\.module\.(\d+)\.ada_gss")
            per_chunk = sum(bool(first.fullmatch(other)) for other in state)
            number, rest = int(chunked[1]) * per_chunk + int(chunked[2]), chunked[3]
        elif flat:
            number, rest = int(flat[1]), flat[2]
        else:
            return key
        if self.config.chunks == 1:
            return f"blocks.{number}.{rest}"
        chunk, place = divmod(number, self.config.depth // self.config.chunks)
        return f"block_chunks.{chunk}.module.{place}.{rest}"

    # --- condition ------------------------------------------------------------------------------

    def kv_layout(self) -> tuple[int, int, int]:
        """``(layers, heads, head_dim)`` of the KV cache this model fills."""
        return self.config.depth, self.config.heads, self.config.head_dim

    def empty_text(self, lengths: Sequence[int]) -> TextFeatures:
        """The learned empty text, as long as each of the prompts it stands for.

        Raises:
            VarSpacesError: if a prompt is longer than the empty text.
        """
        if max(lengths) > self.config.text_len:
            raise VarSpacesError(
                f"A prompt of {max(lengths)} tokens is longer than this model's "
                f"{self.config.text_len}: shorten it."
            )
        return TextFeatures.of([self.cfg_uncond[:length] for length in lengths])

    def without_text(self, text: TextFeatures, dropped: Tensor) -> TextFeatures:
        """Text with the prompts marked in ``dropped (B,)`` bool replaced by the empty text."""
        empty = self.empty_text(text.lengths).packed.to(text.packed.dtype)
        gone = dropped[text.owner()].unsqueeze(1)
        return TextFeatures(torch.where(gone, empty, text.packed), text.lengths)

    def condition(self, text: TextFeatures) -> TextCondition:
        """Condition of a batch of prompts.

        Args:
            text: features of B prompts, unconditional rows included.
        """
        if text.packed.shape[1] != self.config.text_dim:
            raise VarSpacesError(
                f"Text features have {text.packed.shape[1]} channels, this model wants "
                f"{self.config.text_dim}: use the text encoder of its card."
            )
        if self.config.text_blocks:
            text = self.text_refiner(text)
        normed = self.text_norm(text.packed)
        mask = text.mask()
        pooled = self.text_proj_for_sos.ca(text.padded(normed), mask)
        projected = self.text_proj_for_ca(normed.to(self.text_proj_for_ca[0].weight.dtype))
        return TextCondition(pooled, text.padded(projected), mask)

    def context(self, cond: TextCondition, schedule: ScaleSchedule | None = None) -> TextContext:
        """What all scales of a run share; ``schedule`` None is the model's own."""
        schedule = schedule or self.schedule
        shared = self.shared_ada_lin(cond.pooled)
        layers = self.layers
        return TextContext(
            schedule=schedule,
            cond=cond,
            rotary=self.rotary(schedule, cond.device),
            blocks=tuple(block.modulation(shared) for block in layers),
            head=self.head_nm.modulation(cond.pooled),
            memory=tuple(block.memory(cond.text, cond.mask) for block in layers),
        )

    def rotary(self, schedule: ScaleSchedule, device: torch.device) -> Rotary:
        """Positions of all tokens of a schedule."""
        if schedule.num_scales > self.config.levels:
            raise VarSpacesError(
                f"This model knows {self.config.levels} scales; the schedule has "
                f"{schedule.num_scales}."
            )
        config = self.config
        return rotary(schedule, config.head_dim, config.rope_mode, config.rope_extent, device)

    # --- one scale of a run ---------------------------------------------------------------------

    def start(self, context: TextContext) -> Tensor:
        """Input of scale 0, ``(B, 1, C)`` float32: the pooled text."""
        first = context.cond.pooled.float().unsqueeze(1) + self.pos_start.float()
        return first + self.lvl_embed.weight[0].float()

    def embed_scale(self, tokens: Tensor, scale: int, context: TextContext) -> Tensor:
        """Input ``(B, l_k, C)`` float32 of scale k >= 1 from the tokenizer's ``(B, l_k, n)``."""
        tokens = tokens.to(self.word_embed.weight.dtype)
        return self.word_embed(tokens).float() + self.lvl_embed.weight[scale].float()

    def running(self, scales: range, context: TextContext) -> RunBlock:
        """Blocks that turn queries and keys by their positions, and read the text."""
        offsets, layers = context.schedule.offsets, self.layers
        here = context.rotary.span(slice(offsets[scales.start], offsets[scales.stop]))
        turn = context.extension.rotary(scales, here)

        def run(b: int, x: Tensor, attend: Attend) -> Tensor:
            return layers[b](x, context.blocks[b], attend, turn, context.memory[b])

        return run

    def logits(self, hidden: Tensor, context: TextContext) -> Tensor:
        """Logits of both values of every bit, ``(B, l, n, 2)`` float32."""
        both = self.head(self.head_nm(hidden, context.head).to(self.head.weight.dtype)).float()
        return both.unflatten(-1, (self.config.latent_dim, 2))

    # --- training -------------------------------------------------------------------------------

    def forward(
        self,
        text: TextFeatures,
        tokens: Tensor,
        schedule: ScaleSchedule | None = None,
        dropped: Tensor | None = None,
        extend: Callable[[TextContext], Extension] | None = None,
        drop_path: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Teacher forcing: logits of all scales at once under the block-causal mask.

        Args:
            text: features of B prompts.
            tokens: tokenizer inputs of scales 1.. concatenated, ``(B, L - 1, n)``; fewer scales
                give logits of those scales only.
            schedule: of the token maps; None is the model's own.
            dropped: prompts to replace by the empty text, ``(B,)`` bool.
            extend: makes what an adapter adds.
            drop_path, generator: rate of stochastic depth and what its draws come from, see
                :func:`~var_spaces.backbones.context.drop_path`.

        Returns:
            Logits ``(B, L, n, 2)`` float32.

        Raises:
            VarSpacesError: if ``tokens`` does not end where a scale ends.
        """
        schedule = schedule or self.schedule
        length = schedule.lengths[0] + tokens.shape[1]
        scales = range(schedule.scales_of(length))
        text = text if dropped is None else self.without_text(text, dropped)
        context = self.context(self.condition(text), schedule)
        context = context if extend is None else context.extended(extend(context))
        context = context.thinned(drop_path, generator)
        parts = tokens.split(schedule.lengths[1 : len(scales)], dim=1) if len(scales) > 1 else ()
        inputs = [self.embed_scale(part, k, context) for k, part in enumerate(parts, 1)]
        x = torch.cat([self.start(context), *inputs], dim=1)

        first, *others = schedule.lengths[: len(scales)]
        attend = block_attend((context.extension.front + first, *others), "causal")
        return self.logits(self.teach(x, scales, context, attend), context)
