"""Real pictures of the embedded data: scenes of a recipe, rendered from the sprite atlas."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from leaderboard.references.base import Reference
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

BATCH = 64


@register
class AtlasScenes(Reference):
    """Scenes that no training run has seen: their seed is no training seed."""

    name = "atlas"
    title = "Rendered scenes of the sprite atlas"

    recipe: str = Field("easy", description="distribution of scenes")
    split: Literal["train", "unseen_pairs", "unseen_concepts", "all"] = Field(
        "all", description="(concept, style) pairs that occur"
    )
    count: int = Field(2048, ge=2, le=100_000, description="images")
    side: int = Field(64, ge=4, le=1024, description="pixels along a side")
    seed: int = Field(9_000_009, ge=0, description="stream of scenes")

    @property
    def identity(self) -> str:
        """Parameters, and a digest of the sprites."""
        text = f"{self.recipe}/{self.split}/{self.side}px/{self.seed}"
        return f"atlas({text} {_atlas_digest()[:8]} M={self.count})"

    def images(self) -> Iterator[np.ndarray]:
        from var_spaces.training.data.atlas import Atlas
        from var_spaces.training.data.recipes import recipe
        from var_spaces.training.data.render import render
        from var_spaces.training.data.sampler import SceneSampler

        atlas = Atlas.load()
        scenes = SceneSampler(atlas, replace(recipe(self.recipe), split=self.split))
        for start in range(0, self.count, BATCH):
            batch = scenes.batch(self.seed, start, min(BATCH, self.count - start))
            pixels = render(atlas, batch, self.side).add(1).mul(127.5).round()
            yield pixels.byte().permute(0, 2, 3, 1).contiguous().numpy()


def _atlas_digest() -> str:
    from var_spaces.training.data.index import default_folder

    return hashlib.sha256((default_folder() / "atlas.webp").read_bytes()).hexdigest()
