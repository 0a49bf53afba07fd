"""A second stream of tokens through the blocks of Infinity, without attention to the text."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from var_spaces.backbones.infinity_layers import InfinityBlock
from var_spaces.backbones.layers import modulate
from var_spaces.backbones.rope import Rotary
from var_spaces.cache.beside import Attend


def through(
    layer: InfinityBlock, c: Tensor, modulation: Tensor, turn: Rotary, attend: Attend
) -> tuple[Tensor, Tensor, Tensor]:
    """The stream ``(R, L, C)`` after a block, and its keys and values there."""
    kept: list[Tensor] = []

    def keep(q: Tensor, k: Tensor, v: Tensor, scale: float, raw: Any = None) -> Tensor:
        kept.extend((k, v))
        return attend(q, k, v, scale)

    c = InfinityBlock.attended(layer, c, modulation, keep, turn)
    return InfinityBlock.fed(layer, c, modulation), *kept


def keys_values(
    layer: InfinityBlock, c: Tensor, modulation: Tensor, turn: Rotary
) -> tuple[Tensor, Tensor]:
    """What a block's attention would append for ``c (R, l, C)``."""
    _, _, scale, _, shift, _ = modulation.unbind(2)
    _, k, v = layer.sa.project(modulate(c, scale, shift, layer.eps).to(layer.dtype))
    return turn.turn(k), v
