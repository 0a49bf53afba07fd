"""Editing by instruction: VAREdit (https://arxiv.org/abs/2508.15772) on an Infinity transformer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from var_spaces.adapters.base import Adapter, Given, Loaded, Prepared
from var_spaces.decoding.backbone import FULL, NULL, BatchRow
from var_spaces.decoding.guidance.words_and_picture import NO_PICTURE
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.adapters.source_reference import Positions, SourceReference
    from var_spaces.backbones.infinity import Infinity, TextContext
    from var_spaces.schedule import ScaleSchedule


@register
class ScaleAlignedReference(Adapter):
    """The source picture stands in front of the target, and the first block sees it at every scale
    in that scale's own size. There are no parameters beyond Infinity's."""

    name = "scale-aligned-reference"
    title = "Scale-aligned reference (VAREdit)"
    paper = "https://arxiv.org/abs/2508.15772"

    rope_layout: Literal["published", "aligned"] = Field(
        "published",
        description="positions of source and target: as released models learned them, or in place",
    )
    reference: Literal["aligned", "finest-only", "none"] = Field(
        "aligned",
        description="what the first block sees: the source pooled to each scale, or all of it; "
        "none for a model that does not look at the source",
    )
    source_dropout: bool = Field(
        False, description="trained with an empty source at times, which guidance compares with"
    )

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"source-picture"})

    @property
    def rows(self) -> tuple[str, ...]:
        return (FULL, NULL, NO_PICTURE) if self.source_dropout else (FULL, NULL)

    @property
    def needs(self) -> dict[str, str]:
        return {"picture:source": "it changes a picture that is given"}

    def pinned(self, schedule: ScaleSchedule, config: Any) -> Sequence[int]:
        if self.reference == "none":
            return [0] * config.depth
        first = 0 if self.reference == "aligned" else schedule.lengths[-1]
        return [first] + [schedule.lengths[-1]] * (config.depth - 1)

    def positions(self, schedule: ScaleSchedule, config: Any, device: Any) -> Positions:
        """Of source and target, for a transformer of a configuration."""
        from var_spaces.adapters import source_reference as own

        if self.rope_layout == "published":
            return own.published_positions(schedule, config.head_dim, device)
        return own.aligned_positions(schedule, config.head_dim, config.rope_extent, device)

    def prepare(self, model: Loaded, given: Given) -> Prepared:
        from var_spaces.adapters.source_reference import source_tokens

        if self.reference == "none":
            return Prepared()

        picture = given.pictures["source"]
        tokens = source_tokens(model.tokenizer, picture, given.schedule)
        return PreparedReference(
            model.backbone,
            tokens.expand(given.count, -1, -1),
            self.positions(given.schedule, model.backbone.config, picture.device),
            self.reference == "aligned",
        )


@dataclass(frozen=True, eq=False)
class PreparedReference(Prepared):
    """Source pictures in one run.

    Attributes:
        model: the backbone of the run.
        tokens: of the source of every image, ``(images, h_K * w_K, n)``.
        positions: of source and target.
        aligned: see :class:`SourceReference`.
    """

    model: Infinity
    tokens: Tensor
    positions: Positions
    aligned: bool = True

    def extension(self, context: TextContext, rows: Sequence[BatchRow]) -> SourceReference:
        """Rows named "no-picture" see an empty source, all others that of their image."""
        from var_spaces.adapters.source_reference import source_reference

        tokens = self.tokens[[row.image for row in rows]]
        seen = [row.name != NO_PICTURE for row in rows]
        tokens = tokens * tokens.new_tensor(seen)[:, None, None]
        return source_reference(self.model, context, tokens, self.positions, self.aligned)
