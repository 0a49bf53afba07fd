"""Random models of 16 px images for tests of the page: one without styles, one with two."""

from __future__ import annotations

from pathlib import Path

import torch

from var_spaces.backbones.config import VARConfig
from var_spaces.backbones.var import VAR
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
from var_spaces.zoo.writer import save_model

PATCHES = (1, 2, 3, 4)
CLASSES = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "ibex", "jay"]
STYLES = ["soft", "flat"]
DEFAULTS = {
    "sampling": {"name": "top-k-top-p", "top_k": 20, "top_p": 0.9},
    "guidance": {"name": "linear", "scale": 2.0},
}


def write(folder: Path) -> Path:
    """Write ``tiny-vq``, ``tiny-var`` and ``tiny-styled`` into a folder."""
    common = {"format": 1, "resolution": 16, "licence": "Apache-2.0"}
    vq = {"ch": 8, "ch_mult": [1, 1, 2], "num_res_blocks": 1, "norm_groups": 4}
    vq |= {"z_channels": 4, "vocab_size": 64, "patch_nums": PATCHES}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        card = {"id": "tiny-vq", "title": "Tiny tokenizer", "family": "residual-vq"}
        card |= {"role": "tokenizer", "architecture": vq}
        save_model(
            folder / card["id"], {**common, **card}, ResidualVQ(ResidualVQConfig(**vq)).state_dict()
        )
        for name, title, styles in (
            ("tiny-styled", "Tiny with styles", STYLES),
            ("tiny-var", "Tiny", []),
        ):
            var = {"depth": 2, "width": 32, "heads": 2, "vocab_size": 64, "latent_dim": 4}
            var |= {"num_classes": len(CLASSES), "num_styles": len(styles), "patch_nums": PATCHES}
            module = VAR(VARConfig(**var))
            for parameter in module.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
            card = {"id": name, "title": title, "family": "var", "role": "generator"}
            card |= {"architecture": var, "tokenizer": "tiny-vq", "classes": CLASSES}
            card |= {"styles": styles, "defaults": DEFAULTS}
            save_model(folder / name, {**common, **card}, module.state_dict())
    return folder
