"""A tiny CLIP with random weights, as a folder that both this project and open_clip read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch

from var_spaces.conditioning.packed_encoder import MINILM
from var_spaces.evaluators.clip_network import Clip, ClipConfig
from var_spaces.zoo.writer import save_model

CONFIG = ClipConfig(
    embed_dim=16,
    image_size=64,
    width=4,
    layers=(1, 2, 1, 1),
    head_width=32,
    context=24,
    text_width=32,
    text_heads=2,
    text_layers=2,
)


def write_clip(folder: Path, config: ClipConfig = CONFIG) -> Path:
    """Weights that make every part matter, and the files of open_clip."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Clip(config)
        for name, value in network.state_dict().items():
            if name.endswith(("bias", "weight")) and value.ndim == 1:
                value.normal_(std=0.5)
            if name.endswith("running_var"):
                value.uniform_(0.5, 2)
    card = {"id": "clip", "architecture": asdict(config)}
    save_model(folder, card, network.state_dict(), dtype=None)
    (folder / "open_clip_config.json").write_text(json.dumps(config.open_clip()))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((MINILM / name).read_bytes())
    return folder
