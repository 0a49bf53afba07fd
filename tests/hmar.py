"""A tiny HMAR, made of the tiny VAR."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from var_spaces.backbones.hmar_config import merge
from var_spaces.zoo.writer import save_model


def save_tiny(folder: Path, models: Path) -> None:
    """Write ``tiny-hmar`` into a folder, from ``tiny-var`` in another one."""
    card = json.loads((models / "tiny-var" / "card.json").read_text("utf-8"))
    state = load_file(models / "tiny-var" / "model.safetensors")
    masked = state | {"mask_embed.weight": torch.ones(1, card["architecture"]["width"])}
    card |= {"id": "tiny-hmar", "family": "hmar", "title": "Tiny HMAR", "metrics": {}}
    card["architecture"] |= {"branch": 1}
    card["defaults"] |= {"cache": {"name": "none"}, "decoding": {"name": "masked"}}
    save_model(folder / "tiny-hmar", card, merge(state, masked, 1))
