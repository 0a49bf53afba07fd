"""Class labels (and styles) as the condition of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassConditioning:
    """One class and one style per image; None is "no class" or "no style".

    Args:
        labels: class index per image of the run.
        styles: style index per image, or None for a model without styles.
    """

    labels: tuple[int | None, ...]
    styles: tuple[int | None, ...] | None = None

    def embed(self, backbone: Any, images: Sequence[int], guided: bool) -> Tensor:
        """Condition ``(B, C)`` or ``(2B, C)``: conditional rows, then unconditional ones."""
        device = next(backbone.parameters()).device
        labels = _rows(self.labels, backbone.null_label, images, guided, device)
        if self.styles is None or not backbone.num_styles:
            return backbone.condition(labels)
        return backbone.condition(
            labels, _rows(self.styles, backbone.null_style, images, guided, device)
        )


def _rows(
    values: Sequence[int | None], null: int, images: Sequence[int], guided: bool, device: Any
) -> Tensor:
    rows = [null if values[i] is None else values[i] for i in images]
    if guided:
        rows += [null] * len(rows)
    return torch.tensor(rows, device=device)
