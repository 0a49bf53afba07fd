"""A source picture in front of the target, as VAREdit has it (https://arxiv.org/abs/2508.15772).

The latent of the source, not quantised, is tokens of the finest scale. It runs through all blocks
once and never sees the target. In the first block every scale of the target sees the source pooled
to its own size (scale-aligned reference, §3.3), in the others the whole source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from var_spaces.aspect import reference_grid, template_of
from var_spaces.backbones.block_attention import own_scale
from var_spaces.backbones.dense_attention import dense_attention
from var_spaces.backbones.extension import Extension
from var_spaces.backbones.rope import Rotary, grid_angles
from var_spaces.cache.beside import Attend, Beside, scales_of_tokens, with_beside
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.autoencoder import area_pool

if TYPE_CHECKING:
    from var_spaces.backbones.infinity import Infinity, TextContext
    from var_spaces.tokenizers.bitwise import Bitwise

KeysValues = tuple[Tensor, Tensor]


def source_tokens(tokenizer: Bitwise, images: Tensor, schedule: ScaleSchedule) -> Tensor:
    """Source pictures as tokens of the last scale, ``(B, h_K * w_K, n)`` float32, not quantised.

    Args:
        images: ``(B, 3, H, W)`` in [-1, 1].
    """
    latent = tokenizer.latent(images).float()
    return tokenizer.to_tokens(area_pool(latent, tokenizer.grid(schedule, -1)))


def pooled(keys: Tensor, size: tuple[int, int], to: tuple[int, int]) -> Tensor:
    """Keys or values ``(B, H, h * w, D)`` of a map averaged to another size ``(B, H, h' * w', D)``.

    Keys are averaged as they are, normalised and turned; they are not normalised again.
    """
    b, heads, _, dim = keys.shape
    maps = keys.transpose(2, 3).reshape(b, heads * dim, *size)
    return area_pool(maps, to).view(b, heads, dim, -1).transpose(2, 3)


# --- positions ------------------------------------------------------------------------------------


class Positions(NamedTuple):
    """Where source and target stand."""

    source: Rotary
    target: Rotary


@lru_cache(maxsize=16)
def aligned_positions(
    schedule: ScaleSchedule, head_dim: int, extent: int, device: torch.device | str
) -> Positions:
    """The target on the reference grid, the source as far below and to the right as it is large."""
    grid = reference_grid(schedule, extent)
    target = [grid_angles(size, head_dim, grid) for size in schedule.sizes]
    return _positions(grid_angles(schedule.last, head_dim, grid, offset=grid), target, device)


@lru_cache(maxsize=16)
def published_positions(
    schedule: ScaleSchedule,
    head_dim: int,
    device: torch.device | str,
    whole: ScaleSchedule | None = None,
) -> Positions:
    """Positions of released models: entries of the table of the whole list of a ratio, in order.

    The table begins with the source at the size of the *whole* list's last map. A schedule that
    stops before it has a smaller source, and its tokens still take one entry after the other: at
    512 px all of them, source and target, stand inside the source's block. Released models learned
    with that.

    Args:
        whole: the list that the schedule begins; None is Infinity's list of its ratio, else the
            schedule itself.
    """
    whole = whole or template_of(schedule) or schedule
    grid = whole.last
    parts = [grid_angles(size, head_dim, grid) for size in whole.sizes]
    table = torch.cat([grid_angles(grid, head_dim, grid, offset=grid), *parts])
    source = schedule.lengths[-1]
    return _positions(table[:source], [table[source : source + schedule.total]], device)


def _positions(source: Tensor, target: Sequence[Tensor], device: torch.device | str) -> Positions:
    with torch.inference_mode(False):  # the table outlives the run that asks for it first
        both = (source, torch.cat(list(target)))
        return Positions(*(Rotary(a.cos().to(device), a.sin().to(device)) for a in both))


# --- what a run adds ------------------------------------------------------------------------------


class _SourcePass(Extension):
    """Runs the source through the blocks on its own and keeps keys and values of every block."""

    def __init__(self, turn: Rotary) -> None:
        self.turn = turn
        self.kept: list[KeysValues] = []

    def rotary(self, scales: range, table: Rotary) -> Rotary:
        return self.turn

    def attend(self, block: int, scales: range, base: Attend) -> Attend:
        def keep(q: Tensor, k: Tensor, v: Tensor, scale: float, raw: object = None) -> Tensor:
            self.kept.append((k, v))
            return dense_attention(q, k, v, scale=scale)

        return keep


@dataclass(frozen=True, eq=False)
class SourceReference(Extension):
    """A source picture beside the target.

    Attributes:
        schedule: of the target.
        keys_values: ``(B, H, h_K * w_K, D)`` of the source, for every block; once a cache holds
            the others, for those that are not pinned.
        turn: positions of all target tokens.
        aligned: the first block sees the source pooled to the size of each scale; else, as in all
            other blocks, the whole of it ("finest-only", the paper's baseline).
    """

    schedule: ScaleSchedule
    keys_values: tuple[KeysValues, ...]
    turn: Rotary
    aligned: bool = True

    def rotary(self, scales: range, table: Rotary) -> Rotary:
        offsets = self.schedule.offsets
        return self.turn.span(slice(offsets[scales.start], offsets[scales.stop]))

    def pinned(self, block: int) -> KeysValues | None:
        return None if self.aligned and block == 0 else self.keys_values[block]

    def settled(self) -> SourceReference:
        return replace(self, keys_values=self.keys_values[:1] if self.aligned else ())

    def attend(self, block: int, scales: range, base: Attend) -> Attend:
        if block or not self.aligned:
            return base
        return with_beside(base, self.reference(scales))

    def reference(self, scales: range) -> Beside:
        """Source of the first block, pooled for every scale of ``scales``, each for its own."""
        schedule = self.schedule
        keys, values = (
            torch.cat([pooled(x, schedule.last, schedule.sizes[k]) for k in scales], dim=2)
            for x in self.keys_values[0]
        )
        if len(scales) == 1:
            return Beside(keys, values)
        owner = scales_of_tokens(schedule, scales, keys.device)
        return Beside(keys, values, owner[:, None] == owner)

    def gather_rows(self, index: Tensor) -> SourceReference:
        rows = tuple((k[index], v[index]) for k, v in self.keys_values)
        return replace(self, keys_values=rows)


def source_reference(
    model: Infinity,
    context: TextContext,
    tokens: Tensor,
    positions: Positions,
    aligned: bool = True,
) -> SourceReference:
    """Run source tokens through the blocks, under the condition of every row.

    Args:
        context: of the rows, before it is extended.
        tokens: ``(B, h_K * w_K, n)``, one source per row.
        aligned: see :class:`SourceReference`.
    """
    schedule = context.schedule
    last = schedule.num_scales - 1
    scales = range(last, last + 1)  # whose level embedding the source has, and its size
    alone = _SourcePass(positions.source)
    x = model.embed_scale(tokens, last, context)
    model.teach(x, scales, replace(context, extension=alone), own_scale)
    return SourceReference(schedule, tuple(alone.kept), positions.target, aligned)
