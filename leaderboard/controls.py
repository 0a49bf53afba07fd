"""Pictures that control maps are taken from: frozen scenes with a prompt each, in one file.

``controls.png`` holds 40 of them, 64 px each, eight in a row: the scenes of the first four frozen
prompts of every category (``assets/atlas/compose_prompts.json``), which no training run has seen.
Its alpha channel is their exact silhouette, holes filled. ``draw`` made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from leaderboard.sources import cut
from var_spaces.evaluators.compose import Prompt, read_prompts
from var_spaces.pictures import digest, read

SHEET = Path(__file__).parent / "controls.png"
ACROSS, PER_CATEGORY = 8, 4


@dataclass(frozen=True, eq=False)
class Controlled:
    """A prompt, the picture of its scene ``(64, 64, 3)`` and its silhouette ``(64, 64)`` uint8."""

    prompt: Prompt
    pixels: np.ndarray
    silhouette: np.ndarray

    @property
    def picture(self) -> str:
        """Content hash of the picture."""
        return digest(self.pixels)

    @property
    def map(self) -> str:
        """Content hash of the silhouette."""
        return digest(self.silhouette)


@lru_cache(maxsize=1)
def controlled() -> tuple[Controlled, ...]:
    """All of them, category by category."""
    tiles = cut(np.asarray(read(SHEET, "The sheet of controls")), ACROSS)
    prompts = read_prompts(PER_CATEGORY)
    return tuple(
        Controlled(prompt, np.ascontiguousarray(tile[..., :3]), np.ascontiguousarray(tile[..., 3]))
        for prompt, tile in zip(prompts, tiles, strict=True)
    )


@lru_cache(maxsize=1)
def pictures() -> Mapping[str, np.ndarray]:
    """Pictures and silhouettes by content hash, as tasks take them."""
    found = {scene.picture: scene.pixels for scene in controlled()}
    return {**found, **{scene.map: scene.silhouette for scene in controlled()}}


def draw() -> np.ndarray:
    """The sheet as it was made, ``(H, W, 4)``: rendered from the sprite atlas."""
    from var_spaces.conditioning.controls.mask import filled
    from var_spaces.training.data.atlas import Atlas
    from var_spaces.training.data.batch import pack
    from var_spaces.training.data.render import coverage, render
    from var_spaces.training.data.scene import Scene

    atlas = Atlas.load()
    scenes = [Scene.from_dict(prompt.scene) for prompt in read_prompts(PER_CATEGORY)]
    batch = pack(atlas, scenes)
    pixels = render(atlas, batch).add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).numpy()
    masks = np.stack([filled(mask) for mask in (coverage(atlas, batch) >= 0.5).numpy()])
    tiles = np.concatenate([pixels, masks[..., None]], axis=3)
    side = tiles.shape[1]
    rows = tiles.reshape(-1, ACROSS, side, side, 4).swapaxes(1, 2)
    return np.ascontiguousarray(rows.reshape(-1, ACROSS * side, 4))
