"""ARBooth at work in one run (https://arxiv.org/abs/2504.02612); see ``subject.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from var_spaces.adapters.base import Prepared
from var_spaces.adapters.subject_layers import IT
from var_spaces.adapters.subject_network import SubjectNetwork
from var_spaces.backbones.context import RunContext
from var_spaces.backbones.extension import IDENTITY, Extension
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.cache.beside import scales_of_tokens
from var_spaces.schedule import ScaleSchedule

if TYPE_CHECKING:
    from var_spaces.decoding.backbone import Backbone, BatchRow, Encode, Tokenizer


class Choices(Protocol):
    """What a run reads of its adapter, see ``subject.py``."""

    word: str
    placeholder: str
    level_every_chunk: bool
    next_input: str


class SubjectRun(Prepared):
    """See :class:`var_spaces.adapters.base.Prepared`.

    Args:
        own: rows and weights.
        backbone: the base model.
    """

    def __init__(self, adapter: Choices, own: SubjectNetwork, backbone: Any) -> None:
        self.adapter, self.own = adapter, own
        self.levels, config = backbone.lvl_embed.weight, backbone.config
        self.text_len = config.text_len
        starts = range(0, config.depth, config.depth // config.chunks)[1:]
        self.chunks = frozenset(starts) if adapter.level_every_chunk else frozenset()

    def text(self, prompts: Sequence[str], row: str, encode: Encode) -> TextFeatures:
        return TextFeatures.of([self._read(prompt, encode) for prompt in prompts])

    def _read(self, prompt: str, encode: Encode) -> Tensor:
        """Features of a prompt, with the learned rows where ``<it>`` stands.

        What is too long is cut before the token that ends a text, as the encoder cuts.
        """
        first, *others = prompt.split(IT)
        where = []
        for part in others:
            # Behind what comes before it, and before the token that ends a text.
            where.append(encode([first]).lengths[0] - 1)
            first += f" {self.adapter.placeholder} {self.adapter.word} {part}"
        states = encode([first]).packed
        kept = [at for at in where if at < len(states) - 1]
        found = with_learned(states, kept, self.own.special_token.to(states))
        over = len(found) > self.text_len
        return torch.cat((found[: self.text_len - 1], found[-1:])) if over else found

    def overlaid(self, backbone: Backbone) -> Backbone:
        return self.own.over(backbone)

    def retokenized(self, tokenizer: Tokenizer) -> Tokenizer:
        area = self.adapter.next_input == "area"
        return tokenizer.with_inputs("area") if area else tokenizer

    def extension(self, context: RunContext, rows: Sequence[BatchRow]) -> Extension:
        if not self.chunks:
            return IDENTITY
        return LevelEveryChunk(self.levels, self.chunks, context.schedule)


class LevelEveryChunk(Extension):
    """Adds the scale embedding before other blocks than the first one as well.

    Args:
        levels: the embedding, ``(scales, C)``.
        chunks: blocks before which it is added.
    """

    def __init__(self, levels: Tensor, chunks: frozenset[int], schedule: ScaleSchedule) -> None:
        self.levels, self.chunks, self.schedule = levels, chunks, schedule

    def before_block(self, block: int, scales: range, x: Tensor) -> Tensor:
        if block not in self.chunks:
            return x
        return x + self.levels[scales_of_tokens(self.schedule, scales, x.device)].to(x.dtype)


def with_learned(states: Tensor, where: Sequence[int], learned: Tensor) -> Tensor:
    """Features ``(T, E)`` of a prompt with the rows at ``where`` replaced by ``learned (n, E)``.

    Every placeholder makes the prompt ``n - 1`` rows longer.
    """
    parts, start = [], 0
    for at in where:
        parts += [states[start:at], learned]
        start = at + 1
    return torch.cat([*parts, states[start:]])
