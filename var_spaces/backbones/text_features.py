"""Text as a transformer sees it: the features of all prompts of a batch, packed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """Features of B prompts without padding.

    Attributes:
        packed: ``(sum of lengths, E)`` float, prompt after prompt.
        lengths: tokens of every prompt, at least 1 each.

    Raises:
        VarSpacesError: if the rows are not those of the lengths.
    """

    packed: Tensor
    lengths: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "lengths", tuple(self.lengths))
        if self.packed.dim() != 2 or self.packed.shape[0] != sum(self.lengths):
            raise VarSpacesError(
                f"Packed text of shape {tuple(self.packed.shape)} does not hold "
                f"{sum(self.lengths)} rows for prompts of {list(self.lengths)} tokens."
            )
        if min(self.lengths, default=0) < 1:
            raise VarSpacesError("Every prompt needs at least one token of text features.")

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of(cls, prompts: Sequence[Tensor]) -> TextFeatures:
        """From the features ``(length, E)`` of every prompt."""
        return cls(torch.cat(list(prompts)), tuple(len(rows) for rows in prompts))

    def prompts(self) -> tuple[Tensor, ...]:
        """Features ``(length, E)`` of every prompt."""
        return self.packed.split(self.lengths)

    def to(self, device: torch.device | str) -> TextFeatures:
        return TextFeatures(self.packed.to(device), self.lengths)

    def owner(self) -> Tensor:
        """Prompt that each packed row belongs to, ``(sum of lengths,)`` int64."""
        lengths = torch.tensor(self.lengths, device=self.packed.device)
        return torch.arange(len(self), device=self.packed.device).repeat_interleave(lengths)

    def place(self) -> Tensor:
        """Position of each packed row inside its prompt, ``(sum of lengths,)`` int64."""
        steps = [torch.arange(length, device=self.packed.device) for length in self.lengths]
        return torch.cat(steps)

    def mask(self) -> Tensor | None:
        """Where a padded batch holds text, ``(B, T)`` bool; None if all prompts are as long."""
        if len(set(self.lengths)) == 1:
            return None
        lengths = torch.tensor(self.lengths, device=self.packed.device)
        return torch.arange(max(self.lengths), device=self.packed.device) < lengths[:, None]

    def padded(self, packed: Tensor | None = None) -> Tensor:
        """Rows as ``(B, T, E)``, zero behind each prompt; ``packed`` takes the rows' place."""
        packed = self.packed if packed is None else packed
        if len(set(self.lengths)) == 1:
            return packed.unflatten(0, (len(self), -1))
        out = packed.new_zeros(len(self), max(self.lengths), packed.shape[-1])
        out[self.owner(), self.place()] = packed
        return out


def concatenate(parts: Sequence[TextFeatures]) -> TextFeatures:
    """The prompts of several batches as one."""
    return TextFeatures(
        torch.cat([part.packed for part in parts]),
        tuple(length for part in parts for length in part.lengths),
    )
