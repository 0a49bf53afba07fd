"""Plain decoding: one pass of the whole backbone per scale, as published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from var_spaces.decoding.base import Drawn
from var_spaces.decoding.strategy import DecodingSession, DecodingStrategy, Draw
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.decoding.setup import RunSetup


@register
class PlainDecoding(DecodingStrategy):
    """Every scale: all blocks, one pass, all rows."""

    name = "plain"
    title = "Plain: every block at every scale"
    paper = "https://arxiv.org/abs/2404.02905"
    repeats = True

    def session(self, setup: RunSetup, images: Sequence[int]) -> DecodingSession:
        return PlainSession(setup, images)


class PlainSession(DecodingSession):
    def __init__(self, setup: RunSetup, images: Sequence[int], scales: int | None = None) -> None:
        from var_spaces.decoding.loop.backbone_run import BackboneRun

        self.run: BackboneRun | None = BackboneRun(setup.backbone, setup, images, scales)

    def predict(self, scale: int, tokens: Tensor | None, draw: Draw) -> Drawn:
        return draw(self.run.logits(self.run.advance(scale, tokens)))

    def gather_rows(self, index: Tensor) -> None:
        self.run.gather_rows(index)

    @property
    def kv_bytes(self) -> int:
        return self.run.kv_bytes

    @property
    def kv_pinned_bytes(self) -> int:
        return self.run.kv_pinned_bytes

    def kv_full_bytes(self, scale: int) -> int:
        return self.run.kv_full_bytes(scale)

    def refresh(self, setup: RunSetup, images: Sequence[int]) -> bool:
        return self.run.refresh(setup, images)

    def buffers(self) -> list[Tensor]:
        return self.run.cache.buffers()

    def close(self) -> None:
        self.run = None
