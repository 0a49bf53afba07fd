"""Tiny real models for tests, with the random weights of the golden fixtures."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file

from var_spaces.backbones.config import VARConfig
from var_spaces.backbones.var import VAR
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
from var_spaces.zoo.writer import save_model

GOLDEN = Path(__file__).parent / "golden"
CLASSES = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "ibex", "jay"]


def read(folder: Path, stem: str) -> tuple[dict, dict]:
    """Config and state dict of a fixture."""
    spec = json.loads((folder / f"{stem}.json").read_text("utf-8"))
    tensors = load_file(folder / f"{stem}.safetensors")
    state = {k.removeprefix("state/"): v for k, v in tensors.items() if k.startswith("state/")}
    return spec["config"], state


def strict_load(module: torch.nn.Module, state: dict) -> torch.nn.Module:
    known = module.state_dict()
    extra = [key for key in state if key not in known]
    assert all(key.endswith(("lvl_1L", "masking", "zero_k_bias", "hit_SV")) for key in extra), extra
    module.load_state_dict({key: state[key].float() for key in known})
    return module.eval().requires_grad_(False)


def tokenizer(folder: Path = GOLDEN, stem: str = "var_vae") -> ResidualVQ:
    config, state = read(folder, stem)
    known = ResidualVQConfig.__dataclass_fields__
    return strict_load(ResidualVQ(ResidualVQConfig(**pick(config, known))), state)


def backbone(folder: Path = GOLDEN, stem: str = "var_model_l2norm") -> VAR:
    config, state = read(folder, stem)
    renamed = dict(config, width=config["embed_dim"], heads=config["num_heads"])
    renamed["latent_dim"] = config["z_channels"]
    known = VARConfig.__dataclass_fields__
    return strict_load(VAR(VARConfig(**pick(renamed, known))), state)


def pick(config: dict, known: dict) -> dict:
    return {key: value for key, value in config.items() if key in known}


@cache
def shared() -> tuple[ResidualVQ, VAR]:
    """Tokenizer and backbone for tests that do not touch their weights."""
    return tokenizer(), backbone()


def styled_backbone(styles: int = 2) -> VAR:
    """The tiny VAR with style labels of random weights."""
    plain = backbone()
    torch.manual_seed(0)
    model = VAR(VARConfig(**{**asdict(plain.config), "num_styles": styles}))
    with torch.no_grad():
        model.style_emb.weight.normal_(std=0.5)
    model.load_state_dict(plain.state_dict(), strict=False)
    return model.eval().requires_grad_(False)


def write_models(root: Path, styles: tuple[str, ...] = ()) -> Path:
    """A models folder with ``tiny-vq``, ``tiny-var`` and, with styles, ``tiny-styled``."""
    vq, var = shared()
    common = {"format": 1, "resolution": 16, "licence": "Apache-2.0", "training": {}, "metrics": {}}
    card = {"id": "tiny-vq", "title": "Tiny tokenizer", "family": "residual-vq"}
    card |= {"role": "tokenizer", "architecture": asdict(vq.config), **common}
    save_model(root / "tiny-vq", card, vq.state_dict())
    defaults = {
        "sampling": {"name": "top-k-top-p", "top_k": 20, "top_p": 0.9},
        "guidance": {"name": "linear", "scale": 2.0},
    }
    backbones = {"tiny-var": (var, ())}
    if styles:
        backbones["tiny-styled"] = (styled_backbone(len(styles)), styles)
    for name, (module, names) in backbones.items():
        card = {"id": name, "title": f"Model {name}", "family": "var", "role": "generator"}
        card |= {"architecture": asdict(module.config), "tokenizer": "tiny-vq", **common}
        card |= {"classes": CLASSES, "styles": list(names), "defaults": defaults}
        save_model(root / name, card, module.state_dict(), max_shard=60_000, dtype=None)
    return root
