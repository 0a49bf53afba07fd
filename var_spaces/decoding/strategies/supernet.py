"""VARiant: late scales run through a sub-network of the blocks (https://arxiv.org/abs/2511.16546).

The depth is chosen per run at no cost: weights, head and condition are shared. After the bridge the
caches of skipped blocks are freed, since nothing reads them again. A model that was not trained for
it loses quality; ``training/supernet.py`` trains one network for several depths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from var_spaces.decoding.base import Drawn
from var_spaces.decoding.strategies.plain import PlainSession
from var_spaces.decoding.strategy import DecodingStrategy, Draw, ScaleWork
from var_spaces.depth import sub_network
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.decoding.setup import RunSetup
    from var_spaces.schedule import ScaleSchedule


@register
class Supernet(DecodingStrategy):
    """All blocks at the first scales, fewer at the later ones, which hold most of the tokens."""

    name = "supernet"
    title = "VARiant: fewer blocks at late scales"
    paper = "https://arxiv.org/abs/2511.16546"
    repeats = True

    depth: int = Field(3, ge=2, le=128, description="blocks that run at late scales")
    bridge: int = Field(3, ge=1, le=63, description="first scales that run all blocks")

    @property
    def needs(self) -> dict[str, str]:
        return {
            "kv-cache": "a sub-network reads the keys and values of earlier scales",
            "sub-networks": "it leaves blocks out",
        }

    def check(self, cards: Mapping[str, Any]) -> None:
        blocks = cards[""].architecture["depth"]
        if self.depth > blocks:
            raise VarSpacesError(
                f"depth = {self.depth}: model '{cards[''].id}' has {blocks} blocks; take 2 to "
                f"{blocks}."
            )

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        if self.bridge >= schedule.num_scales:
            raise VarSpacesError(
                f"bridge = {self.bridge} leaves none of the {schedule.num_scales} scales to a "
                f"sub-network: take 1 to {schedule.num_scales - 1}."
            )

    def work(self, schedule: ScaleSchedule, depth: int) -> tuple[ScaleWork, ...]:
        fewer = ScaleWork(blocks=tuple(sub_network(depth, min(self.depth, depth))))
        return (ScaleWork(),) * self.bridge + (fewer,) * (schedule.num_scales - self.bridge)

    def session(self, setup: RunSetup, images: Sequence[int]) -> SupernetSession:
        return SupernetSession(setup, images, self)


class SupernetSession(PlainSession):
    def __init__(self, setup: RunSetup, images: Sequence[int], strategy: Supernet) -> None:
        super().__init__(setup, images, strategy.bridge)
        self.bridge = strategy.bridge
        self.layers = setup.backbone.kv_layout()[0]
        self.blocks = sub_network(self.layers, strategy.depth)

    def predict(self, scale: int, tokens: Tensor | None, draw: Draw) -> Drawn:
        if scale == self.bridge:  # freed before the others grow: the peak is never both
            for skipped in set(range(self.layers)) - set(self.blocks):
                self.run.cache.release(skipped)
            for active in self.blocks:
                self.run.cache.grow(active)
        blocks = None if scale < self.bridge else self.blocks
        return draw(self.run.logits(self.run.advance(scale, tokens, blocks)))
