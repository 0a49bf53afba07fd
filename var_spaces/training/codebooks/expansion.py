"""Starting from a trained tokenizer, with as many codes or more (codebook size expansion)."""

from __future__ import annotations

import json
from dataclasses import asdict

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.residual_vq import ResidualVQ

SPREAD = 0.05  # of the codes' own, per channel
MAY_DIFFER = ("vocab_size", "patch_nums", "beta", "using_znorm")


@torch.no_grad()
def continue_from(model: ResidualVQ, trained: ResidualVQ, seed: int) -> None:
    """Give ``model`` the weights of a trained tokenizer.

    A codebook that is trained as it is takes over the codes; if it is larger, the rest are copies
    of random ones, moved a little, so that each pair shares what its parent stood for. A fixed one,
    or one behind a projector, cannot and begins anew with the trained autoencoder.

    Raises:
        VarSpacesError: if the networks differ in more than codes and schedule, or on fewer codes.
    """
    ours, theirs = asdict(model.config), asdict(trained.config)
    different = [key for key in ours if ours[key] != theirs[key] and key not in MAY_DIFFER]
    if different or model.vocab_size < trained.vocab_size:
        wanted = {key: theirs[key] for key in (*different, "vocab_size")}
        shown = ", ".join(f"{key} = {as_toml(value)}" for key, value in wanted.items())
        raise VarSpacesError(
            f"[recipe] start: that tokenizer has other sizes; in [model] set {shown} or more codes."
        )
    state = trained.state_dict()
    old = state.pop("quantize.embedding.weight")
    model.load_state_dict(state, strict=False)
    model.quantize.start_from(expanded(old, model.vocab_size, seed))


def expanded(codes: Tensor, count: int, seed: int) -> Tensor:
    """``count`` codes that begin with the given ``(V, z)``."""
    generator = torch.Generator().manual_seed(seed)
    parents = torch.randint(len(codes), (count - len(codes),), generator=generator)
    noise = torch.randn(len(parents), codes.shape[1], generator=generator)
    return torch.cat([codes, codes[parents] + SPREAD * codes.std(0) * noise])


def as_toml(value: object) -> str:
    """A setting as a recipe file has it."""
    return json.dumps(value)
