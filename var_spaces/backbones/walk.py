"""The one walk through the blocks of a next-scale transformer.

Drawing a scale, reading several scales at once and teaching all of them differ only in the
attention of a block: that of a cache, or that of a mask.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from var_spaces.backbones.context import RunContext
from var_spaces.cache.beside import Attend, Beside, with_beside
from var_spaces.cache.kv import KVCache
from var_spaces.cache.prefill import Prefill

# (block, x (B, l, C), attention) -> its output
RunBlock = Callable[[int, Tensor, Attend], Tensor]
# (block, its output (B, l, C)) -> what the next block gets
AfterBlock = Callable[[int, Tensor], Tensor]


class Walker(nn.Module):
    """A transformer whose blocks a :class:`RunContext` drives."""

    @abstractmethod
    def running(self, scales: range, context: RunContext) -> RunBlock:
        """Runs one block of this model on tokens of ``scales``."""

    def forward_scale(
        self,
        x: Tensor,
        scales: range,
        context: RunContext,
        cache: KVCache | Prefill,
        blocks: Sequence[int] | None = None,
        after: AfterBlock | None = None,
    ) -> Tensor:
        """Run a scale through the blocks, reading and extending the KV cache.

        Args:
            x: input of the scale, ``(B, l_k, C)``.
            scales: what ``x`` holds: one scale or, for caches that mask (:class:`Prefill`), all
                scales up to some one.
            context: of this run.
            cache: KV cache of this run, one row per row of ``x``.
            blocks: indices of the blocks to run (a sub-network), ascending; None means all. A
                block keeps its cache layer whatever the selection.
            after: changes the output of a block (guidance between blocks).

        Returns:
            Hidden states ``(B, l_k, C)`` float32 for ``logits``.
        """
        cache.begin_scale(scales[-1])
        front = context.extension.front if scales.start == 0 else 0

        def attend_of(block: int) -> Attend:
            if front:
                return partial(cache.attend, block, front=front)
            return partial(cache.attend, block)

        return self.walk(x, scales, context, attend_of, blocks, after)

    def teach(
        self,
        x: Tensor,
        scales: range,
        context: RunContext,
        attend: Attend,
        run: RunBlock | None = None,
        blocks: Sequence[int] | None = None,
    ) -> Tensor:
        """Run all of ``scales`` at once; ``attend`` masks. See :meth:`walk`."""
        return self.walk(x, scales, context, beside_pinned(context, attend), blocks, run=run)

    def walk(
        self,
        x: Tensor,
        scales: range,
        context: RunContext,
        attend_of: Callable[[int], Attend],
        blocks: Sequence[int] | None = None,
        after: AfterBlock | None = None,
        run: RunBlock | None = None,
    ) -> Tensor:
        """From the input of the first block ``(B, l, C)`` to the output of the last.

        Args:
            attend_of: attention of a block.
            run: instead of :meth:`running`.
        """
        extension, run = context.extension, run or self.running(scales, context)
        x = extension.enter(scales, x)
        for b in range(len(context.blocks)) if blocks is None else blocks:
            x = extension.before_block(b, scales, x)
            x = run(b, x, extension.attend(b, scales, attend_of(b)))
            x = x if after is None else after(b, x)
        return extension.leave(scales, x)


def beside_pinned(context: RunContext, attend: Attend) -> Callable[[int], Attend]:
    """Attention of every block that sees what is pinned there, without a cache that holds it."""

    def attend_of(block: int) -> Attend:
        pinned = context.extension.pinned(block)
        return attend if pinned is None else with_beside(attend, Beside(*pinned))

    return attend_of
