"""Control by reference attention: ScaleWeaver (https://arxiv.org/abs/2510.14882) on Infinity.

A control map (edges, a sketch, tones, ...) runs through the blocks beside the image, once per run;
image tokens see it through a second softmax. Weights and forward pass: ``reference_stream.py``;
at work in a run: ``reference_run.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from var_spaces.adapters.base import Adapter, Given, Loaded, Prepared
from var_spaces.decoding.backbone import FULL, NULL
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.adapters.reference_stream import ReferenceStream
    from var_spaces.backbones.infinity_config import InfinityConfig
    from var_spaces.schedule import ScaleSchedule

TEXT = "text"  # rows that have the prompt and no map


@register
class ReferenceAttention(Adapter):
    """Draws along a control map. The kind of map is a learned vector."""

    name = "reference-attention"
    title = "Control by reference attention (ScaleWeaver)"
    paper = "https://arxiv.org/abs/2510.14882"

    kinds: tuple[str, ...] = Field(
        ("canny",), min_length=1, description="kinds of control, in the order of their vectors"
    )
    rank: int = Field(16, ge=1, le=1024, description="of the updates of the stream's layers")
    share: float = Field(
        0.5, gt=0, le=1, description="share of the blocks in which the image sees the map"
    )
    place: Literal["first", "last"] = Field("first", description="which blocks those are")
    sees: Literal["same", "up-to", "all"] = Field(
        "up-to", description="scales of the map that a scale of the image sees: none finer, or all"
    )
    way: Literal["reference", "joint", "additive"] = Field(
        "reference",
        description="how: a second softmax, one softmax over both, or features that are added",
    )
    gate: Literal["linear", "scalar"] = Field(
        "linear", description="what the second softmax goes through: a layer or one factor"
    )
    zero_start: bool = Field(True, description="start from the base model")

    @model_validator(mode="after")
    def _check(self) -> ReferenceAttention:
        if self.way == "joint" and self.place == "last":
            raise VarSpacesError("joint attention begins in the first block: place is first.")
        return self

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"control"})

    @property
    def needs(self) -> dict[str, str]:
        return {"picture:map": "it draws along a map"}

    @property
    def rows(self) -> tuple[str, ...]:
        """One softmax over both leaves no row without control."""
        return (FULL, NULL) if self.way == "joint" else (FULL, TEXT, NULL)

    def blocks(self, depth: int) -> range:
        """Blocks in which the image sees the map."""
        count = max(1, round(self.share * depth))
        return range(count) if self.place == "first" else range(depth - count, depth)

    def build(self, config: InfinityConfig) -> ReferenceStream:
        from var_spaces.adapters.reference_stream import ReferenceStream

        return ReferenceStream(self, config)

    def held(self, schedule: ScaleSchedule, config: InfinityConfig) -> int:
        return len(self.blocks(config.depth)) * schedule.total

    def prepare(self, model: Loaded, given: Given) -> Prepared:
        """Run the map through the blocks.

        Raises:
            VarSpacesError: if the adapter was not trained for this kind of map.
        """
        from var_spaces.adapters.reference_run import PreparedControl, control_tokens

        task, schedule = given.inputs, given.schedule
        kind = self.number(task.control)
        tokens = control_tokens(model.tokenizer, given.pictures[task.handed], schedule)
        last = schedule.num_scales - 1 if task.to_scale is None else task.to_scale
        seen_by = range(task.from_scale, last + 1)
        return PreparedControl(
            model.own, model.backbone, tokens, kind, schedule, task.strength, seen_by
        )

    def number(self, kind: str) -> int:
        """Position of a kind of control.

        Raises:
            VarSpacesError: if the adapter was not trained for it.
        """
        if kind not in self.kinds:
            raise VarSpacesError(
                f"This model knows no control '{kind}': choose {', '.join(self.kinds)}."
            )
        return self.kinds.index(kind)
