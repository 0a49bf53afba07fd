"""A small adapter of text models, a task that hands it a map, and model folders of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import nn

from var_spaces.adapters.base import Adapter, Given, Loaded, Prepared
from var_spaces.backbones.extension import Extension
from var_spaces.methods import register
from var_spaces.tasks.base import picture
from var_spaces.tasks.text_to_image import TextTask
from var_spaces.zoo.writer import save_model

WIDTH = 48  # of tests.infinity.write_models


@register
class ToyControl(TextTask):
    """Draw a prompt over a map."""

    name = "test-control"
    title = "For tests"
    tab = ""

    map: str = picture("content hash of the map")
    region: str | None = picture("content hash of a region", "mask", optional=True)

    @property
    def needs(self) -> dict[str, str]:
        return {**super().needs, "test-shifting": "it draws over a map"}


@register
class ToyShift(Adapter):
    """Adds a learned vector, times the mean of the map, to the input of the first block."""

    name = "test-shift"
    title = "For tests"

    extra: int = Field(0, ge=0, le=8, description="further channels, which no base has")

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"test-shifting"})

    @property
    def needs(self) -> dict[str, str]:
        return {"picture:map": "it follows a map"}

    def build(self, config: Any) -> nn.Module:
        module = nn.Module()
        module.shift = nn.Parameter(torch.zeros(config.width))
        for number in range(self.extra):
            module.register_parameter(f"extra{number}", nn.Parameter(torch.zeros(1)))
        return module

    def prepare(self, model: Loaded, given: Given) -> Prepared:
        return Shifting(model.own.shift * given.pictures["map"].mean())


class Shifting(Prepared):
    def __init__(self, shift: torch.Tensor) -> None:
        self.shift = shift

    def extension(self, context: Any, rows: Any) -> Extension:
        found = Extension()
        found.enter = lambda scales, x: x + self.shift.to(x.dtype)
        return found


def write_adapter(folder: Path, base: str, seed: int, scale: float = 1.0) -> None:
    """A model folder that extends ``base``; ``scale`` 0 changes nothing."""
    shift = scale * torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))
    card = {"format": 1, "id": folder.name, "title": "A tiny shift", "licence": "Apache-2.0"}
    card |= {"base": base, "adapter": {"name": "test-shift"}}
    card |= {"defaults": {"task": {"name": "test-control"}}}
    save_model(folder, card, {"shift": shift}, dtype=None)
