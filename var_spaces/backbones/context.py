"""What follows from condition and schedule, computed once per run and reused at every scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

import torch
from torch import Tensor

from var_spaces.backbones.extension import IDENTITY, Extension
from var_spaces.schedule import ScaleSchedule

C = TypeVar("C")  # what a backbone's ``condition(...)`` gives


@dataclass(frozen=True, eq=False, kw_only=True)
class RunContext(Generic[C]):
    """Of a class-conditional backbone; others add to it.

    Attributes:
        schedule: of the run.
        cond: what the backbone's ``condition(...)`` made of labels or text, one row per row of the
            batch: ``(B, C)``, or an object with ``pooled (B, C)`` and indexing by rows.
        blocks: AdaLN of every block, ``(B, 1, 6, C)`` float32.
        head: AdaLN before the output projection, ``(B, 1, 2, C)`` float32.
        extension: what an adapter adds.
    """

    schedule: ScaleSchedule
    cond: C
    blocks: tuple[Tensor, ...]
    head: Tensor
    extension: Extension = IDENTITY

    def gather_rows(self, index: Tensor) -> Self:
        """The context of rows ``index (B',)``."""
        return replace(
            self,
            cond=self.cond[index],
            blocks=tuple(block[index] for block in self.blocks),
            head=self.head[index],
            extension=self.extension.gather_rows(index),
        )

    def settled(self) -> Self:
        """The context of a run whose cache holds what is pinned."""
        return replace(self, extension=self.extension.settled())

    def extended(self, extension: Extension) -> Self:
        """The same run with an extension; it may change what is computed once."""
        changed = tuple(extension.modulation(b, block) for b, block in enumerate(self.blocks))
        return replace(self, blocks=changed, extension=extension)

    def thinned(self, rate: float, generator: torch.Generator | None = None) -> Self:
        """The same run, where samples skip branches of blocks, see :func:`drop_path`."""
        batch, device = len(self.blocks[0]), self.blocks[0].device
        kept = drop_path(rate, len(self.blocks), batch, device, generator)
        if kept is None:
            return self
        blocks = zip(self.blocks, kept, strict=True)
        changed = tuple(torch.cat((b[:, :, :2] * own, b[:, :, 2:]), 2) for b, own in blocks)
        return replace(self, blocks=changed)


def drop_path(
    rate: float,
    depth: int,
    batch: int,
    device: torch.device,
    generator: torch.Generator | None = None,
) -> Tensor | None:
    """Stochastic depth (https://arxiv.org/abs/1603.09382): which samples skip which branches.

    Args:
        rate: of the last of ``depth`` blocks, 0..1 without 1; grows linearly from 0 at the first.
        generator: of the draws; None is that of the device.

    Returns:
        Factors ``(depth, B, 1, 2, 1)`` of attention and feed-forward part, 0 or what keeps the
        mean; None if nothing is dropped.
    """
    if not rate:
        return None
    keep = 1 - rate * torch.linspace(0, 1, depth, device=device)[:, None, None, None, None]
    place = device if generator is None else generator.device
    drawn = torch.rand(depth, batch, 1, 2, 1, generator=generator, device=place)
    return (drawn.to(device) < keep) / keep
