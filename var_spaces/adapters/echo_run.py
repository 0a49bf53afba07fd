"""EchoGen at work in one run (https://arxiv.org/abs/2509.26127); see ``echo.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from var_spaces.adapters.base import Loaded, Prepared
from var_spaces.adapters.echo_network import EchoNetwork, GatedMemory
from var_spaces.adapters.two_softmax import Reference, two_softmax
from var_spaces.backbones.extension import Extension
from var_spaces.backbones.infinity import TextContext
from var_spaces.backbones.infinity_layers import TextMemory
from var_spaces.backbones.rope import Rotary
from var_spaces.cache.beside import Attend
from var_spaces.decoding.backbone import FULL

if TYPE_CHECKING:
    from var_spaces.decoding.backbone import BatchRow


class Seen:
    """What is known of reference pictures.

    Args:
        semantic: tokens of the image encoder, the whole first, ``(R, 1 + S, E)``.
        content: latents, ``(R, Lc, z)``. None of both: there is no picture.
    """

    def __init__(self, semantic: Tensor | None, content: Tensor | None) -> None:
        self.semantic, self.content = semantic, content

    def roll(self) -> Seen:
        """Every reference in the place of the one before it."""
        parts = (self.semantic, self.content)
        return Seen(*(None if part is None else part.roll(1, 0) for part in parts))


class EchoRun(Prepared):
    """See :class:`var_spaces.adapters.base.Prepared`. All images of a run have one reference."""

    def __init__(self, model: Loaded, seen: Seen) -> None:
        self.own: EchoNetwork = model.own
        self.levels, self.seen = model.backbone.lvl_embed.weight, seen

    def extension(self, context: TextContext, rows: Sequence[BatchRow]) -> Extension:
        full = torch.tensor([row.name == FULL for row in rows], device=context.cond.device)
        return extend(self.own, self.levels, context, self.seen, full, full)


def extend(
    own: EchoNetwork,
    levels: Tensor,
    context: TextContext,
    seen: Seen,
    semantic: Tensor,
    content: Tensor,
) -> EchoExtension:
    """What a reference adds for the rows of a batch.

    Args:
        levels: scale embedding of the backbone, ``(scales, C)``.
        seen: of one reference, or of one per row.
        semantic, content: which rows see either, ``(B,)`` bool; the others see learned tokens that
            stand for no picture.
    """
    cond = context.cond
    token = modulation = whole = None
    memories, contents = [], []
    if own.has_semantic:
        tokens = _rows(seen.semantic, own.control_features_uncond, semantic)
        whole = own.whole(tokens)
        modulation, memories = own.modulation(whole), own.memories(tokens)
        if not own.exact:
            token = whole.float().unsqueeze(1) + own.control_pos_start.float() + levels[0].float()
    if own.has_content:
        latents = _rows(seen.content, own.control_features_refer_uncond, content)
        contents = own.contents(latents, whole, cond.pooled, cond.text, cond.mask)
    references = [(content.k, content.v) for content in contents]
    return EchoExtension(own, token, modulation, memories, references)


def _rows(seen: Tensor | None, without: Tensor, who: Tensor) -> Tensor:
    """Tokens ``(B, n, z)`` of every row: those of its reference, or those of no picture."""
    without = without.expand(len(who), -1, -1)
    if seen is None:
        return without
    return torch.where(who[:, None, None], seen.to(without.dtype), without)


class EchoExtension(Extension):
    """Args:
    own: the layers.
    token: of the whole, in front of the sequence, ``(B, 1, C)``; None for none.
    added: to the modulation of every block, ``(B, 1, 6, C)``; None for nothing.
    memories: keys and values of the semantic tokens per block, ``(B, H, S, D)``; may be empty.
    references: keys and values of the content per block, ``(B, H, Lc, D)``; may be empty.
    """

    def __init__(
        self,
        own: EchoNetwork,
        token: Tensor | None,
        added: Tensor | None,
        memories: Sequence[tuple[Tensor, Tensor]],
        references: Sequence[tuple[Tensor, Tensor]],
    ) -> None:
        self.own, self.token, self.added = own, token, added
        self.memories, self.references = memories, references
        self.front = 0 if token is None else 1

    def enter(self, scales: range, x: Tensor) -> Tensor:
        if self.token is None or scales.start:
            return x
        return torch.cat((self.token.to(x.dtype), x), 1)

    def leave(self, scales: range, x: Tensor) -> Tensor:
        return x[:, self.front :] if scales.start == 0 else x

    def rotary(self, scales: range, table: Rotary) -> Rotary:
        """The token in front has the position of the first token."""
        if not self.front or scales.start:
            return table
        return type(table)(*(torch.cat((part[:1], part)) for part in table))

    def modulation(self, block: int, modulation: Tensor) -> Tensor:
        return modulation if self.added is None else modulation + self.added

    def memory(self, block: int, memory: TextMemory) -> Any:
        if not self.memories:
            return memory
        keys, values = self.memories[block]
        if self.own.exact:
            return GatedMemory(memory, keys, values, self.own.blocks[block].ca.control_gate)
        return _joined(memory, keys, values)

    def attend(self, block: int, scales: range, base: Attend) -> Attend:
        if not self.references:
            return base
        keys, values = self.references[block]
        reference = Reference(keys, values, len(keys))
        return two_softmax(base, self.own.blocks[block].sa.control_attn, reference)

    def gather_rows(self, index: Tensor) -> Self:
        def pick(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
            return [(one[index], other[index]) for one, other in pairs]

        token = None if self.token is None else self.token[index]
        added = None if self.added is None else self.added[index]
        return type(self)(self.own, token, added, pick(self.memories), pick(self.references))


def _joined(memory: TextMemory, keys: Tensor, values: Tensor) -> TextMemory:
    """Text and semantic tokens under one softmax."""
    mask = memory.mask
    if mask is not None:
        mask = torch.cat((mask, mask.new_ones(*mask.shape[:-1], keys.shape[2])), -1)
    k = torch.cat((memory.keys, keys.to(memory.keys.dtype)), 2)
    v = torch.cat((memory.values, values.to(memory.values.dtype)), 2)
    return type(memory)(k, v, mask)
