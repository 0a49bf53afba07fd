"""Where a tokenizer's training images come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler

EVAL_SEED = 7_000_001  # never a training seed
# Scenes of sprites that training never shows: concepts held out, and for the easy subset pairs.
PROBES = {"wide": "unseen_concepts", "wide_single": "unseen_concepts", "easy": "unseen_pairs"}


class ImageSource(Protocol):
    """Square images ``(B, 3, S, S)`` in [-1, 1]; image i of a stream depends on (seed, i) only."""

    def batch(self, seed: int, start: int, count: int) -> Tensor: ...

    def probes(self, count: int) -> dict[str, Tensor]:
        """At most ``count`` images each that training never shows, by the name of the probe."""
        ...

    def usage_probe(self, count: int = 512) -> tuple[str, Iterator[Tensor]]:
        """Name and batches of 64 of the images over which codebook usage is measured."""
        ...

    def describe(self) -> dict[str, Any]:
        """What the card of the trained model says otherwise than for scenes of the open set."""
        ...


class SceneSource:
    """Scenes of the open image set, drawn as they are needed."""

    def __init__(self, scenes: str, size: int, device: torch.device) -> None:
        self.name, self.size, self.device = scenes, size, device
        self.atlas = Atlas.load().to(device)
        self.scenes = SceneSampler(self.atlas, recipe(scenes))

    def batch(self, seed: int, start: int, count: int) -> Tensor:
        return self._draw(self.scenes, seed, start, count)

    def _draw(self, scenes: SceneSampler, seed: int, start: int, count: int) -> Tensor:
        return render(self.atlas, scenes.batch(seed, start, count, self.device), self.size)

    def probes(self, count: int) -> dict[str, Tensor]:
        samplers = {
            name: SceneSampler(self.atlas, replace(recipe(name), split=split))
            for name, split in PROBES.items()
        }
        return {
            f"unseen_{name}": self._draw(sampler, EVAL_SEED, 0, count)
            for name, sampler in samplers.items()
        }

    def usage_probe(self, count: int = 512) -> tuple[str, Iterator[Tensor]]:
        batches = (self.batch(EVAL_SEED + 1, start, 64) for start in range(0, count, 64))
        return f"{count}_images", batches

    def describe(self) -> dict[str, Any]:
        return {}
