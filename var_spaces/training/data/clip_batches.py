"""Batches for CLIP: scenes that share background and style, and which caption is true of which.

Drawn at random, two scenes differ in background and style first, and a network that tells them
apart by that need not know what they show. So scenes come in groups that share both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import SceneBatch
from var_spaces.training.data.captions import Caption
from var_spaces.training.data.counter import choose, cumulative, draw
from var_spaces.training.data.palette import HUES
from var_spaces.training.data.recipes import Recipe
from var_spaces.training.data.sampler import SceneSampler


@dataclass(frozen=True, eq=False)
class GroupedScenes:
    """Scenes of a recipe in groups of ``size``, each with one style and one plain background.

    Group *g* of a stream depends on (seed, g) only.
    """

    atlas: Atlas
    recipe: Recipe
    size: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "_samplers", {})

    def batch(self, seed: int, start: int, count: int, device: torch.device | str) -> SceneBatch:
        """Scenes ``start .. start + count``; both are taken as whole groups."""
        groups = torch.arange(start // self.size, (start + count) // self.size)
        weights = self.recipe.backgrounds
        numbers = draw(seed + 1, groups, 2)
        behind = choose(numbers[:, 0].contiguous(), cumulative(weights.values())).tolist()
        styles = (numbers[:, 1] * len(self.recipe.styles) >> 32).tolist()
        parts = [
            self._sampler(self.recipe.styles[style], list(weights)[colour]).batch(
                seed, group * self.size, self.size, device
            )
            for group, style, colour in zip(groups.tolist(), styles, behind, strict=True)
        ]
        return joined(parts)

    def _sampler(self, style: str, background: str) -> SceneSampler:
        key = (style, background)
        if key not in self._samplers:
            own = replace(self.recipe, styles=(style,), backgrounds={background: 1.0}, gradient=0.0)
            self._samplers[key] = SceneSampler(self.atlas, own)
        return self._samplers[key]


def joined(parts: Sequence[SceneBatch]) -> SceneBatch:
    """Several batches as one."""
    names = [field.name for field in fields(SceneBatch)]
    return SceneBatch(**{n: torch.cat([getattr(part, n) for part in parts]) for n in names})


def truth(drawn: SceneBatch, captions: Sequence[Caption]) -> Tensor:
    """``(B, B)`` bool: whether caption *i* is true of scene *j*.

    The things must be the same ones in number, kind and colour; background and style must agree
    where the caption names them. Places are not compared: a caption may be called false of a scene
    only if it is one.
    """
    device = drawn.concept.device
    said = torch.tensor(
        [(c.background is not None, c.style is not None) for c in captions], device=device
    )
    ink = (drawn.ink.long() + 1) @ torch.tensor([1, 257, 257**2], device=device)
    things = (drawn.concept + 1) * (len(HUES) + 1) + drawn.tint + 1
    things = (things * 257**3 + ink).sort(dim=1).values
    style = drawn.style.sort(dim=1).values
    same_things = (things[:, None] == things[None]).all(2)
    same_background = (drawn.background[:, None] == drawn.background[None]).all(2)
    same_style = (style[:, None] == style[None]).all(2)
    return same_things & (~said[:, :1] | same_background) & (~said[:, 1:] | same_style)
