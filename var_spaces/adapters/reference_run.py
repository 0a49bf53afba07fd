"""ScaleWeaver in one run (https://arxiv.org/abs/2510.14882); see ``reference_stream.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from var_spaces.adapters.base import Prepared
from var_spaces.adapters.joint_stream import JointStream
from var_spaces.adapters.reference_stream import Passed, ReferenceStream
from var_spaces.adapters.two_softmax import Reference, joined, two_softmax
from var_spaces.backbones.extension import Extension
from var_spaces.cache.beside import Attend, scales_of_tokens
from var_spaces.decoding.backbone import FULL, BatchRow
from var_spaces.schedule import ScaleSchedule

if TYPE_CHECKING:
    from var_spaces.backbones.context import RunContext
    from var_spaces.backbones.infinity import Infinity


class PreparedControl(Prepared):
    """A control map in a run.

    Args:
        stream: the adapter's weights.
        backbone: of the run.
        tokens: the map of all images, ``(1, L, n)``, or one of each; see :func:`control_tokens`.
        kind: position of their kind.
        schedule: of the run.
        strength: factor on what the map adds.
        seen_by: scales that see the map; None is all.
    """

    @torch.no_grad()
    def __init__(
        self,
        stream: ReferenceStream,
        backbone: Infinity,
        tokens: Tensor,
        kind: int,
        schedule: ScaleSchedule,
        strength: float = 1.0,
        seen_by: range | None = None,
    ) -> None:
        kinds = torch.full((len(tokens),), kind, device=tokens.device)
        if stream.config.way == "joint":
            embedded = stream.embedded(backbone, tokens, kinds, schedule)
            self.make = lambda rows: JointStream(stream, backbone, embedded, schedule)
        else:
            passed = stream(backbone, tokens, kinds, schedule)
            more = {"strength": strength, "seen_by": seen_by}
            self.make = lambda rows: SeenStream(stream, passed, schedule, rows, **more)

    def extension(self, context: RunContext, rows: Sequence[BatchRow]) -> Extension:
        return self.make(sum(row.name == FULL for row in rows))


def teach(stream: ReferenceStream, backbone: Infinity, tokens: Tensor, kinds: Tensor) -> Extension:
    """What maps ``tokens (B, L, n)`` of ``kinds (B,)`` add to teacher forcing of B rows.

    A step that sees the first scales only needs no more of the maps, unless the stream is seen
    whole.
    """
    schedule = backbone.schedule
    if stream.config.way == "joint":
        embedded = stream.embedded(backbone, tokens, kinds, schedule)
        return JointStream(stream, backbone, embedded, schedule)
    return SeenStream(stream, stream(backbone, tokens, kinds, schedule), schedule, len(tokens))


@torch.no_grad()
def control_tokens(tokenizer: Any, maps: Tensor, schedule: ScaleSchedule) -> Tensor:
    """Control maps ``(R, 3, H, W)`` in [-1, 1] as tokens of all scales, ``(R, L, n)`` float32: the
    latent of the whole map, not quantised, resampled to every scale."""
    latent = tokenizer.latent(maps).float()
    # ``next_input`` makes the input of the scale after the one it is given.
    scales = range(schedule.num_scales)
    return torch.cat([tokenizer.next_input(latent, k - 1, schedule) for k in scales], dim=1)


@dataclass(frozen=True, eq=False)
class SeenStream(Extension):
    """Image tokens see the stream of a control map.

    Attributes:
        stream: the adapter's weights.
        passed: the stream in every block, of as many maps as rows, or of one map.
        schedule: of the run.
        rows: rows of the batch that see it; they are the first ones.
        strength: factor on what the map adds.
        seen_by: scales that see the map; None is all.
    """

    stream: ReferenceStream
    passed: Mapping[int, Passed]
    schedule: ScaleSchedule
    rows: int
    strength: float = 1.0
    seen_by: range | None = None

    def attend(self, block: int, scales: range, base: Attend) -> Attend:
        if self.stream.config.way != "reference" or not self._acts(block, scales):
            return base
        span, visible = self._visible(scales)
        keys, values, _ = self.passed[block]
        reference = Reference(keys[:, :, span], values[:, :, span], self.rows, visible)
        return two_softmax(base, self._into(block, scales), reference)

    def before_block(self, block: int, scales: range, x: Tensor) -> Tensor:
        if self.stream.config.way != "additive" or not self._acts(block, scales):
            return x
        offsets = self.schedule.offsets
        here = self.passed[block].out[:, offsets[scales.start] : offsets[scales.stop]]
        added = self._into(block, scales)(here.to(self._weight(block).dtype)).to(x.dtype)
        return joined(x, added.expand(self.rows, -1, -1))

    def gather_rows(self, index: Tensor) -> Self:
        own = index[index < self.rows]
        passed = self.passed
        if next(iter(passed.values())).keys.shape[0] > 1:
            passed = {
                b: Passed(*(p if p is None else p[own] for p in parts))
                for b, parts in passed.items()
            }
        return replace(self, passed=passed, rows=len(own))

    def _acts(self, block: int, scales: range) -> bool:
        seeing = self.seen_by is None or any(k in self.seen_by for k in scales)
        return block in self.passed and self.rows > 0 and self.strength != 0 and seeing

    def _weight(self, block: int) -> Tensor:
        return self.stream.into[block - self.stream.blocks.start].weight

    def _into(self, block: int, scales: range) -> Any:
        """The projection of a block, with the strength of the control at every token."""
        layer = self.stream.into[block - self.stream.blocks.start]
        some = self.seen_by is not None and not all(k in self.seen_by for k in scales)
        if not some:
            return layer if self.strength == 1 else lambda x: layer(x) * self.strength
        level = scales_of_tokens(self.schedule, scales, layer.weight.device)
        seeing = (level >= self.seen_by.start) & (level < self.seen_by.stop)
        return lambda x: layer(x) * (seeing * self.strength).to(x.dtype)[:, None]

    def _visible(self, scales: range) -> tuple[slice, Tensor | None]:
        """Which tokens of the stream are looked at by those of ``scales``, and by which of them."""
        sees, offsets = self.stream.config.sees, self.schedule.offsets
        if sees == "all":
            return slice(None), None
        if len(scales) == 1:
            start = offsets[scales.start] if sees == "same" else 0
            return slice(start, offsets[scales.stop]), None
        device = self._weight(self.stream.blocks.start).device
        return slice(offsets[scales.stop]), _mask(self.schedule, scales, sees, device)


@lru_cache(maxsize=16)
def _mask(schedule: ScaleSchedule, scales: range, sees: str, device: torch.device) -> Tensor:
    """``(l, n)`` bool: where a token of ``scales`` may look in the stream up to their last."""
    with torch.inference_mode(False):
        own = scales_of_tokens(schedule, scales, device)[:, None]
        seen = scales_of_tokens(schedule, range(scales.stop), device)[None]
        return own == seen if sees == "same" else own >= seen
