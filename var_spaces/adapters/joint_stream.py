"""Joint attention over image and control, both ways: what ScaleWeaver is compared with.

One softmax over ``[stream; image]``, for image and stream alike, as in multi-modal transformers.
The stream then depends on the image: it runs anew for every row of every image, scale by scale. It
cannot start from the base model, and no row can be left without control.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from var_spaces.adapters.stream_layers import keys_values
from var_spaces.backbones.dense_attention import dense_attention
from var_spaces.backbones.extension import Extension
from var_spaces.backbones.infinity_layers import InfinityBlock
from var_spaces.cache.beside import Attend, Beside, scales_of_tokens
from var_spaces.schedule import ScaleSchedule

if TYPE_CHECKING:
    from var_spaces.adapters.reference_stream import ReferenceStream
    from var_spaces.backbones.infinity import Infinity


class JointStream(Extension):
    """The stream of a control map, moving along with the image.

    Unlike other extensions it changes during a run: it holds keys and values of both streams at the
    scales so far, and between blocks the stream itself.

    Args:
        stream: the adapter's weights.
        backbone: of the run.
        embedded: the stream before the first block, ``(R, L, C)``; rows of a batch take them in
            turn.
        schedule: of the run.
    """

    def __init__(
        self, stream: ReferenceStream, backbone: Infinity, embedded: Tensor, schedule: ScaleSchedule
    ) -> None:
        self.stream, self.backbone, self.embedded = stream, backbone, embedded
        self.schedule, self.context = schedule, stream.context(backbone, schedule)
        self.held: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        self.now: Tensor | None = None

    def enter(self, scales: range, x: Tensor) -> Tensor:
        here = self.embedded[:, self._span(scales)]
        self.now = here.repeat(len(x) // len(here), 1, 1)
        return x

    def attend(self, block: int, scales: range, base: Attend) -> Attend:
        if block not in self.stream.blocks:
            return base
        layer, modulation = self.stream.layer(self.backbone, block), self.context.blocks[block]
        turn, visible = self.context.rotary.span(self._span(scales)), self._visible(scales)

        def both(q: Tensor, k: Tensor, v: Tensor, scale: float, *more: Any, **named: Any) -> Tensor:
            def seeing(kc: Tensor, vc: Tensor) -> Tensor:
                own = self._hold("stream", block, kc, vc)
                return base(q, k, v, scale, *more, **named, beside=Beside(*own, visible))

            if self.stream.parts(block) == 1:
                return seeing(*keys_values(layer, self.now, modulation, turn))
            out: list[Tensor] = []

            def attend(qc: Tensor, kc: Tensor, vc: Tensor, scale: float, raw: Any = None) -> Tensor:
                out.append(seeing(kc, vc))
                both = self.held["stream", block], self._hold("image", block, k, v)
                keys, values = (torch.cat(two, dim=2) for two in zip(*both, strict=True))
                mask = None if visible is None else visible.repeat(1, 2)
                return dense_attention(qc, keys, values, mask, scale)

            c = InfinityBlock.attended(layer, self.now, modulation, attend, turn)
            self.now = InfinityBlock.fed(layer, c, modulation)
            return out[0]

        return both

    def gather_rows(self, index: Tensor) -> Self:
        self.held = {key: (k[index], v[index]) for key, (k, v) in self.held.items()}
        if len(self.embedded) > 1:
            self.embedded = self.embedded[index % len(self.embedded)]
        return self

    def _span(self, scales: range) -> slice:
        offsets = self.schedule.offsets
        return slice(offsets[scales.start], offsets[scales.stop])

    def _visible(self, scales: range) -> Tensor | None:
        """Several scales see those that are not finer; one scale sees all there is so far."""
        if len(scales) == 1:
            return None
        level = scales_of_tokens(self.schedule, scales, self.embedded.device)
        return level[:, None] >= level[None]

    def _hold(self, whose: str, block: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values at all scales so far, these included."""
        if before := self.held.get((whose, block)):
            k, v = (torch.cat(two, dim=2) for two in zip(before, (k, v), strict=True))
        self.held[whose, block] = k, v
        return k, v
