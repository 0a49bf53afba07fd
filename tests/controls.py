"""Model folders of control adapters with random weights, on ``tiny-t2i``."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from var_spaces import methods
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.manifest import build
from var_spaces.zoo.writer import save_model

KINDS = ("canny", "palette", "mask")
WORDS = {"name": "conditions", "scale": 2, "condition": 2}


def write_control(folder: Path, drawn: bool = True, **choices: object) -> None:
    """An adapter of ``tiny-t2i``; ``drawn`` as if it had been trained."""
    adapter = {"name": "reference-attention", "kinds": list(KINDS), "share": 1.0, **choices}
    torch.manual_seed(1)
    module = methods.parse("adapter", adapter).build(build(get_card("tiny-t2i")).config)
    if drawn:
        for name, parameter in module.named_parameters():
            if name.startswith("into") or ".up." in name:
                nn.init.normal_(parameter, std=0.5)
    card = {"format": 1, "id": folder.name, "title": "Tiny control", "licence": "Apache-2.0"}
    card |= {"base": "tiny-t2i", "adapter": adapter}
    card |= {"defaults": {"task": {"name": "control"}, "guidance": WORDS}}
    save_model(folder, card, module.state_dict(), dtype=None)
