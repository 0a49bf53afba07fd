"""Pairs for subject-driven generation: a reference picture of one thing, and a scene that holds it.

The thing is drawn from the very same sprite, in the same colour; background, size, place and side
(mirrored or not) differ, so that nothing but the thing itself can be taken over.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.training.data.batch import SceneBatch, background_colours
from var_spaces.training.data.captions import CaptionRecipe
from var_spaces.training.data.counter import below, chance, draw
from var_spaces.training.data.palette import BACKGROUNDS
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.data.tables import GRID

_STREAMS = 8
_SALT = 0x7375_626A  # references and scenes of one seed are drawn independently

# The reference says how a thing looks, so the words do not.
SUBJECT_CAPTIONS = CaptionRecipe(style=0.0, colour=0.0)


@dataclass(frozen=True)
class References:
    """How reference pictures are drawn; lengths are fractions of the side.

    Attributes:
        size: range of the size of the thing.
        jitter: largest shift of its centre, both ways; it is kept inside.
        flip: probability that it is mirrored, compared with the scene.
        white: probability of a white background, as if it had been cut out; else another one than
            that of the scene.
    """

    size: tuple[float, float] = (0.6, 0.96)
    jitter: float = 0.1
    flip: float = 0.5
    white: float = 0.5

    def __post_init__(self) -> None:
        low, high = self.size
        fits = 0 < low <= high <= 1 and 0 <= self.jitter <= 0.5
        if not fits or not all(0 <= share <= 1 for share in (self.flip, self.white)):
            raise VarSpacesError(
                "References refused: size is a range within 0 to 1, jitter 0 to 0.5, flip and "
                "white are 0 to 1."
            )


@dataclass(frozen=True, eq=False)
class SubjectBatch:
    """B pairs.

    Attributes:
        references: one thing each.
        scenes: that hold it.
        slot: object of the scene that is the reference's, ``(B,)`` int64.
    """

    references: SceneBatch
    scenes: SceneBatch
    slot: Tensor


class SubjectSampler:
    """An endless, seekable stream of pairs; what may occur is up to the recipe of the scenes."""

    def __init__(self, scenes: SceneSampler, references: References | None = None) -> None:
        self.scenes, self.references = scenes, references or References()

    def batch(
        self, seed: int, start: int, count: int, device: torch.device | str = "cpu"
    ) -> SubjectBatch:
        """Pairs ``start`` to ``start + count - 1`` of the stream ``seed``, equal on every device.

        The scenes are those of :meth:`SceneSampler.batch`.
        """
        scenes = self.scenes.batch(seed, start, count, device)
        rows = torch.arange(start, start + count, device=device)
        numbers = draw(seed ^ _SALT, rows, _STREAMS)
        slot = below(numbers[:, 0], (scenes.sprite >= 0).sum(1))
        return SubjectBatch(self._references(scenes, slot, numbers), scenes, slot)

    def _references(self, scenes: SceneBatch, slot: Tensor, numbers: Tensor) -> SceneBatch:
        sprite, concept, style, flip, tint, ink = (
            values[torch.arange(len(slot), device=slot.device), slot].unsqueeze(1)
            for values in (
                scenes.sprite, scenes.concept, scenes.style, scenes.flip, scenes.tint, scenes.ink,
            )
        )  # fmt: skip
        recipe = self.references
        low, high = (round(side * GRID) for side in recipe.size)
        size = low + below(numbers[:, 1:2], high - low + 1)
        jitter, half = round(recipe.jitter * GRID), (size + 1) // 2
        cx, cy = (
            (GRID // 2 + below(numbers[:, i : i + 1], 2 * jitter + 1) - jitter).clamp(half)
            for i in (2, 3)
        )
        cx, cy = torch.minimum(cx, GRID - half), torch.minimum(cy, GRID - half)
        background = self._backgrounds(scenes.background, ink[:, 0, 0] >= 0, numbers[:, 4:6])
        return SceneBatch(
            background, background_colours(background), sprite, concept, style,
            *((value.double() / GRID).float() for value in (cx, cy, size)),
            flip ^ chance(numbers[:, 6:7], recipe.flip), tint, ink,
        )  # fmt: skip

    def _backgrounds(self, scenes: Tensor, inked: Tensor, numbers: Tensor) -> Tensor:
        """Plain colours, ids ``(B, 2)``; an ink is only known to show on its own background."""
        top = scenes[:, :1]
        other = (top + 1 + below(numbers[:, :1], len(BACKGROUNDS) - 1)) % len(BACKGROUNDS)
        white = list(BACKGROUNDS).index("white")
        plain = torch.where(chance(numbers[:, 1:], self.references.white), white, other)
        return torch.where(inked[:, None], scenes, plain.expand_as(scenes))
