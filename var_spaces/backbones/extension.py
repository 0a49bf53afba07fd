"""Extensions: what a run adds to a next-scale backbone, without changing the backbone.

A backbone walks its blocks once per scale, or once for all scales when it is taught; at every step
it asks the extension of the run. The base class changes nothing, so a run without an adapter is
what it was. The systems that extend backbones are adapters, one file each (``adapters/``).

An extension belongs to the rows of one batch and holds no state that changes while a run goes on:
what it needs is computed when it is made. So one object serves scale by scale with a cache and all
scales at once: ``scales`` is the range of scales that ``x`` holds, and masks follow from it
(:func:`var_spaces.cache.beside.scales_of_tokens`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from torch import Tensor

from var_spaces.cache.beside import Attend

if TYPE_CHECKING:
    from var_spaces.backbones.infinity_layers import TextMemory
    from var_spaces.backbones.rope import Rotary


class Extension:
    """Changes nothing.

    Attributes:
        front: tokens that :meth:`enter` puts in front of those of scale 0. Their keys and values
            are pinned, so that no cache policy counts or drops them; :meth:`leave` takes them out.
    """

    front: int = 0

    def enter(self, scales: range, x: Tensor) -> Tensor:
        """Input ``(B, l, C)`` of the first block."""
        return x

    def leave(self, scales: range, x: Tensor) -> Tensor:
        """Output ``(B, l, C)`` of the last block, ready for the head."""
        return x

    def before_block(self, block: int, scales: range, x: Tensor) -> Tensor:
        """Input ``(B, l, C)`` of a block."""
        return x

    def rotary(self, scales: range, table: Rotary) -> Rotary:
        """Positions of the tokens of ``x``, where a backbone has rotary ones."""
        return table

    def modulation(self, block: int, modulation: Tensor) -> Tensor:
        """AdaLN of a block, ``(B, 1, 6, C)``; asked once per run."""
        return modulation

    def memory(self, block: int, memory: TextMemory) -> TextMemory:
        """Keys and values of the text for a block; asked once per run."""
        return memory

    def pinned(self, block: int) -> tuple[Tensor, Tensor] | None:
        """Keys and values ``(B, H, n, D)`` that all tokens see in a block, in front of all others.

        A cache pins them at the start of a run; where there is no cache they stand beside.
        """
        return None

    def settled(self) -> Self:
        """What is left once a cache holds what was pinned: it need not be held twice."""
        return self

    def attend(self, block: int, scales: range, base: Attend) -> Attend:
        """Attention of a block. Call ``base`` once, with more to see (``beside``) or not, and add
        to what it returns."""
        return base

    def gather_rows(self, index: Tensor) -> Self:
        """The extension of rows ``index (B',)``, which may repeat, drop and reorder rows."""
        return self


IDENTITY = Extension()
