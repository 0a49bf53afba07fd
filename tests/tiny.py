"""Models built from golden fixtures, and runs of them through the scale loop."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from var_spaces.backbones.config import VARConfig
from var_spaces.backbones.var import VAR
from var_spaces.cache.full import Full
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
from var_spaces.decoding.setup import RunSetup
from var_spaces.decoding.strategies.plain import PlainDecoding
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig

GOLDEN = Path(__file__).parent / "golden"


def read(folder: Path, stem: str) -> tuple[dict, dict]:
    """Config and state dict of a fixture."""
    spec = json.loads((folder / f"{stem}.json").read_text("utf-8"))
    tensors = load_file(folder / f"{stem}.safetensors")
    state = {k.removeprefix("state/"): v for k, v in tensors.items() if k.startswith("state/")}
    return spec["config"], state


def sides_of(sides: Sequence[int | Sequence[int]]) -> ScaleSchedule:
    """The schedule of a fixture, which names maps by their side or by both."""
    return ScaleSchedule(tuple((n, n) if isinstance(n, int) else tuple(n) for n in sides))


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


def setup(images: Sequence[int] = (0,), **changes: Any) -> RunSetup:
    """A plain run of the shared models; ``changes`` replace fields of the setup."""
    vq, var = shared()
    fields = {
        "tokenizer": vq,
        "backbone": var,
        "schedule": var.schedule,
        "conditioning": ClassConditioning(tuple(i % 10 for i in images)),
        "images": tuple(images),
        "noise": SeededNoise(0),
        "sampling": TopKTopP(top_k=20, top_p=0.9),
        "guidance": LinearGuidance(scale=2.0),
        "cache": Full(),
        "decoding": PlainDecoding(),
    }
    return RunSetup(**{**fields, **changes})


def drain(steps: Generator) -> tuple[list, list]:
    """Events of a loop and the ids it returns."""
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return events, end.value
