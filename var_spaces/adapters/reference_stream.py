"""The condition stream of ScaleWeaver (https://arxiv.org/abs/2510.14882): weights and forward pass.

A control map goes through the blocks of the frozen backbone beside the image, with low-rank updates
of their layers. It never sees the image (and here no prompt either: blocks are modulated by the
model's empty text), so one pass serves all scales, images, prompts and rows of a run. Image tokens
see its keys and values through a second softmax and a projection that starts from zero.

Where the paper is silent: the map enters at every scale as the tokenizer's latent of the whole map,
not quantised, resampled to the scale; attention of the stream to the text is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from var_spaces.adapters.low_rank import Update, updated
from var_spaces.adapters.stream_layers import keys_values, through
from var_spaces.backbones.block_attention import block_attend
from var_spaces.backbones.infinity_layers import InfinityBlock
from var_spaces.cache.beside import scales_of_tokens
from var_spaces.schedule import ScaleSchedule

if TYPE_CHECKING:
    from var_spaces.backbones.infinity import Infinity, TextContext
    from var_spaces.backbones.infinity_config import InfinityConfig

EMPTY_TEXT = 16  # tokens of the empty text that modulates the stream


class Choices(Protocol):
    """What the stream reads of its adapter, see ``reference_attention.py``."""

    kinds: Sequence[str]
    rank: int
    way: str
    sees: str
    gate: str
    zero_start: bool

    def blocks(self, depth: int) -> range:
        """Blocks in which the image sees the map."""


class Scalar(nn.Module):
    """One learned factor."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.to(x.dtype)


class Passed(NamedTuple):
    """The stream in one block: keys and values ``(R, H, L, D)``, ready for attention, and the
    residual stream after it ``(R, L, C)``, if it is needed."""

    keys: Tensor
    values: Tensor
    out: Tensor | None = None


class ReferenceStream(nn.Module):
    """All that is trained.

    Args:
        config: the adapter.
        base: configuration of the backbone.
    """

    def __init__(self, config: Choices, base: InfinityConfig) -> None:
        super().__init__()
        width, hidden = base.width, base.hidden
        self.config, self.blocks = config, config.blocks(base.depth)
        self.kind = nn.Embedding(len(config.kinds), width)
        self.embed = Update(base.latent_dim, width, config.rank)
        sizes = {
            "sa mat_qkv": (width, 3 * width),
            "sa proj": (width, width),
            "ffn fc1": (width, hidden),
            "ffn fc2": (hidden, width),
        }
        self.updates = nn.ModuleList(
            nn.ModuleDict(
                {
                    name: Update(*sizes[name], config.rank)
                    for name in list(sizes)[: self.parts(block)]
                }
            )
            for block in self.blocks
        )
        into = Scalar if config.gate == "scalar" else partial(nn.Linear, width, width, bias=False)
        self.into = nn.ModuleList(
            into() for _ in (range(0) if config.way == "joint" else self.blocks)
        )
        self.initialise()

    def parts(self, block: int) -> int:
        """How many of a block's layers the stream needs: in the last one, keys and values do."""
        whole = self.config.way == "additive" or block != self.blocks[-1]
        return 4 if whole else 1

    @torch.no_grad()
    def initialise(self) -> None:
        """Projections start from zero, unless the config says otherwise."""
        width = self.kind.embedding_dim
        nn.init.normal_(self.kind.weight, std=width**-0.5)
        for layer in self.into:
            if self.config.zero_start:
                layer.weight.zero_()
            elif layer.weight.ndim:
                nn.init.normal_(layer.weight, std=width**-0.5)
            else:
                layer.weight.fill_(1)

    def forward(
        self, backbone: Infinity, tokens: Tensor, kinds: Tensor, schedule: ScaleSchedule
    ) -> dict[int, Passed]:
        """Run control maps through the blocks.

        Args:
            backbone: its weights are used and never changed.
            tokens: maps as the tokenizer gives them to all scales, or to the first ones,
                ``(R, L, n)``; see ``control_tokens`` in ``reference_run.py``.
            kinds: positions of their kinds, ``(R,)`` int64.
            schedule: of the run.

        Returns:
            What the image sees, by block.
        """
        context = self.context(backbone, schedule)
        c = self.embedded(backbone, tokens, kinds, schedule)
        length = tokens.shape[1]
        turn = context.rotary.span(slice(length))
        masked = block_attend(schedule.lengths[: schedule.offsets.index(length)], "causal")
        passed = {}
        for block in range(self.blocks.stop):
            layer, modulation = self.layer(backbone, block), context.blocks[block]
            if self.parts(block) == 1:
                passed[block] = Passed(*keys_values(layer, c, modulation, turn))
                continue
            c, k, v = through(layer, c, modulation, turn, masked)
            if block in self.blocks:
                passed[block] = Passed(k, v, c if self.config.way == "additive" else None)
        return passed

    def context(self, backbone: Infinity, schedule: ScaleSchedule) -> TextContext:
        """What modulates and places the stream."""
        empty = backbone.empty_text([min(EMPTY_TEXT, backbone.config.text_len)])
        return backbone.context(backbone.condition(empty), schedule)

    def embedded(
        self, backbone: Infinity, tokens: Tensor, kinds: Tensor, schedule: ScaleSchedule
    ) -> Tensor:
        """The stream before the first block, ``(R, L, C)`` float32."""
        level = scales_of_tokens(schedule, range(schedule.num_scales), tokens.device)
        level = level[: tokens.shape[1]]
        tokens = tokens.to(backbone.word_embed.weight.dtype)
        c = backbone.word_embed(tokens).float() + self.embed(tokens).float()
        return c + backbone.lvl_embed.weight[level].float() + self.kind(kinds)[:, None].float()

    def layer(self, backbone: Infinity, block: int) -> InfinityBlock:
        """A block of the backbone as the stream runs it."""
        layer = backbone.layers[block]
        if block not in self.blocks:  # only passed through
            return layer
        updates = self.updates[block - self.blocks.start]
        return updated(layer, {name.replace(" ", "."): update for name, update in updates.items()})
