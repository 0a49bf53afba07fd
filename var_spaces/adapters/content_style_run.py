"""CSD-VAR at work in one run (https://arxiv.org/abs/2507.13984); see ``content_style.py``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

import torch
from torch import Tensor

from var_spaces.adapters import content_style_words
from var_spaces.adapters.base import Prepared
from var_spaces.adapters.content_style_network import ContentStyleNetwork
from var_spaces.adapters.rectification import projector, rectify
from var_spaces.backbones.extension import IDENTITY, Extension
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.cache.beside import Attend, Beside, scales_of_tokens, with_beside
from var_spaces.schedule import ScaleSchedule

if TYPE_CHECKING:
    from var_spaces.backbones.infinity import TextContext
    from var_spaces.conditioning.packed_encoder import PackedEncoder
    from var_spaces.decoding.backbone import BatchRow, Encode

WORDS = (content_style_words.STYLE, content_style_words.CONTENT)
PLACES = re.compile(f"({'|'.join(WORDS)})")


def asked(prompt: str) -> tuple[str, ...]:
    """Which of ``<style>`` and ``<content>`` a prompt asks for."""
    return tuple(word for word in WORDS if word in prompt)


class Choices(Protocol):
    """What a run reads of its adapter, see ``content_style.py``."""

    content: str
    style: str
    slots: int
    content_scale: int


@dataclass(frozen=True, eq=False)
class ContentStyleRun(Prepared):
    """See :class:`var_spaces.adapters.base.Prepared`.

    Attributes:
        own: what was learned.
        encoder: reads prompts; one of the base model's kind.
        seen: which of ``<style>`` and ``<content>`` the prompt asks for.
    """

    adapter: Choices
    own: ContentStyleNetwork
    encoder: PackedEncoder
    seen: tuple[str, ...]

    def text(self, prompts: Sequence[str], row: str, encode: Encode) -> TextFeatures:
        """Prompts without learned rows are those of the base model, to the last bit."""
        return TextFeatures.of(
            [self.read(p) if PLACES.search(p) else encode([p]).packed for p in prompts]
        )

    def read(self, prompt: str) -> Tensor:
        """Features ``(T, E)`` of a prompt with ``<content>`` or ``<style>`` in it."""
        empty = self.encoder.ids([""])[0]
        parts = [self.encoder.embeddings(empty[:-1])]
        styled = [parts[0].new_zeros(len(parts[0]), dtype=torch.bool)]
        for piece in PLACES.split(prompt):
            for rows, is_style in self._spelled(piece, len(empty) - 1):
                parts.append(rows)
                styled.append(torch.full((len(rows),), is_style, device=rows.device))
        room = self.own.text_len - 1  # the encoder may be shared with models that read more
        end = self.encoder.embeddings(empty[-1:])
        embedded, where = torch.cat(parts)[:room], torch.cat(styled)[:room]
        (states,) = self.encoder.read([torch.cat((embedded, end))])
        rectified = rectify(states, projector(self.own.directions))
        where = torch.cat((where, where.new_zeros(1)))
        return torch.where(where[:, None], rectified, states)

    def _spelled(self, piece: str, front: int) -> list[tuple[Tensor, bool]]:
        """Embeddings of a piece of a prompt, and whether they are learned rows of style."""
        match piece:
            case content_style_words.CONTENT:
                words = self._words(self.adapter.content, front)
                return [(words, False), (self.own.content.to(words), False)]
            case content_style_words.STYLE:
                words = self._words(self.adapter.style, front)
                rows = (self.own.style.to(words), True)
                return [(words, False), rows, (self._words("style", front), False)]
        return [(self._words(piece, front), False)]

    def _words(self, text: str, front: int) -> Tensor:
        return self.encoder.embeddings(self.encoder.ids([text], self.own.text_len)[0][front:-1])

    def extension(self, context: TextContext, rows: Sequence[BatchRow]) -> Extension:
        """All rows see the memory, those without a prompt too, as in the public code."""
        if not self.seen or not self.adapter.slots:
            return IDENTITY
        memory = context.memory[0].keys
        heads, count = memory.shape[1], memory.shape[0]
        kinds = [WORDS.index(word) for word in self.seen]
        starts = [(0, self.adapter.content_scale)[kind] for kind in kinds]
        keys, values = (
            part[kinds].flatten(0, 1).unflatten(-1, (heads, -1)).transpose(0, 1).to(memory)
            for part in (self.own.keys, self.own.values)
        )
        return Memory(
            *(part.expand(count, -1, -1, -1) for part in (keys, values)),
            torch.tensor(starts, device=memory.device).repeat_interleave(self.adapter.slots),
            context.schedule,
        )


@dataclass(frozen=True, eq=False)
class Memory(Extension):
    """Learned keys and values in the first block.

    Attributes:
        keys, values: ``(B, H, n, D)``.
        starts: first scale that sees each, ``(n,)``.
    """

    keys: Tensor
    values: Tensor
    starts: Tensor
    schedule: ScaleSchedule

    def attend(self, block: int, scales: range, base: Attend) -> Attend:
        if block:
            return base
        visible = visible_slots(self.schedule, scales, self.starts)
        if visible.all():
            return with_beside(base, Beside(self.keys, self.values))
        if not visible.any():
            return base
        return with_beside(base, Beside(self.keys, self.values, visible))

    def gather_rows(self, index: Tensor) -> Self:
        return replace(self, keys=self.keys[index], values=self.values[index])


def visible_slots(
    schedule: ScaleSchedule, scales: Sequence[int], starts: Tensor, causal: bool = True
) -> Tensor:
    """Which tokens of some scales see which entries of the memory, ``(l, n)`` bool.

    An entry stands in front of the tokens of the scale where it starts.

    Args:
        starts: that scale, ``(n,)``, ascending.
        causal: later scales see what earlier ones saw; else an entry is seen until the next start.
    """
    own = scales_of_tokens(schedule, scales, starts.device)[:, None]
    if causal:
        return own >= starts
    later = [int(s) for s in starts.unique()] + [schedule.num_scales]
    ends = starts.new_tensor([next(s for s in later if s > start) for start in starts.tolist()])
    return (own >= starts) & (own < ends)
