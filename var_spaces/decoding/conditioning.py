"""Class labels (and styles) as the condition of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from var_spaces.decoding.backbone import NULL, Adapting, BatchRow

if TYPE_CHECKING:
    from var_spaces.decoding.backbone import ClassBackbone


@dataclass(frozen=True)
class ClassConditioning:
    """One class and one style per image; None is "no class" or "no style".

    Args:
        labels: class index per image of the run.
        styles: style index per image, or None for a model without styles.
    """

    labels: tuple[int | None, ...]
    styles: tuple[int | None, ...] | None = None

    def embed(
        self, backbone: ClassBackbone, rows: Sequence[BatchRow], adapter: Adapting | None = None
    ) -> Tensor:
        """Condition ``(B, C)``; rows named "null" have no class and no style."""
        device = next(backbone.parameters()).device
        labels = _rows(self.labels, backbone.null_label, rows, device)
        if self.styles is None or not backbone.num_styles:
            return backbone.condition(labels)
        return backbone.condition(labels, _rows(self.styles, backbone.null_style, rows, device))

    @property
    def company(self) -> tuple[str, bool]:
        return "class", self.styles is None

    def along(self, others: Sequence[Self]) -> Self:
        runs = (self, *others)
        labels = tuple(label for run in runs for label in run.labels)
        if self.styles is None:
            return replace(self, labels=labels)
        return replace(self, labels=labels, styles=tuple(s for run in runs for s in run.styles))


def _rows(
    values: Sequence[int | None], null: int, rows: Sequence[BatchRow], device: torch.device
) -> Tensor:
    asked = [None if row.name == NULL else values[row.image] for row in rows]
    return torch.tensor([null if value is None else value for value in asked], device=device)
