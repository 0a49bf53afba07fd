"""A scalable VQ tokenizer that begins with the autoencoder of a trained residual one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.flex_vq import FlexVQ
from var_spaces.tokenizers.residual_vq import ResidualVQ

DISTANCE = 3.0  # of the constant channel, in typical lengths of a latent


def flex_keys(state: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """The weights of an :class:`Encoder` and a :class:`Decoder` under the names used here.

    Args:
        state: a state dict with keys ``encoder.*`` and ``decoder.*``; other keys are dropped.
        levels: resolutions of the network, ``len(ch_mult)``.
    """
    middles = {"block_1": "0", "attn_1": "1", "block_2": "2"}
    found = {}
    for key, value in state.items():
        side, *names = key.split(".")
        if side not in ("encoder", "decoder"):
            continue
        if names[0] in ("down", "up"):
            number = int(names[1])
            names[:2] = ["conv_blocks", str(number if side == "encoder" else levels - 1 - number)]
            names = ["res" if name == "block" else name for name in names]
        elif names[0] == "mid":
            names[1] = middles[names[1]]
        if "qkv" in names:
            place = names.index("qkv")
            for name, part in zip("qkv", value.chunk(3), strict=True):
                found[".".join([side, *names[:place], name, *names[place + 1 :]])] = part
        else:
            found[".".join([side, *names])] = value
    return found


@torch.no_grad()
def start_from(model: FlexVQ, trained: ResidualVQ, images: Tensor) -> None:
    """Give ``model`` the autoencoder of a trained residual tokenizer, quantisation included.

    The codebook of ``model`` knows directions only, latents of the other have a length too. So a
    latent ``f`` becomes ``(f, c)`` with one more channel, constant and larger than ``f``: between
    directions of such vectors distances are almost those between the latents themselves.

    Args:
        images: some training images ``(B, 3, H, W)``, from which ``c`` is measured.

    Raises:
        VarSpacesError: if the networks do not match.
    """
    ours, theirs = model.config, trained.config
    names = ("ch", "ch_mult", "num_res_blocks", "z_channels", "stem_patch", "norm_groups")
    wanted = {name: getattr(theirs, name) for name in (*names, "quant_conv_ks")}
    wanted["latent_dim"] = theirs.z_channels + 1
    if any(getattr(ours, name) != value for name, value in wanted.items()):
        shown = ", ".join(f"{name} = {value}" for name, value in wanted.items())
        raise VarSpacesError(f"[recipe] start: that tokenizer asks for [model] {shown}.")
    constant = DISTANCE * trained.latent(images).norm(dim=1).mean()
    state = flex_keys(trained.state_dict(), len(ours.ch_mult))
    kernel, bias = trained.quant_conv.weight, trained.quant_conv.bias
    state["quant_conv.weight"] = torch.cat([kernel, torch.zeros_like(kernel[:1])])
    state["quant_conv.bias"] = torch.cat([bias, constant[None]])
    back = trained.post_quant_conv.weight * constant * (1 + DISTANCE**-2) ** 0.5
    state["post_quant_conv.weight"] = torch.cat([back, torch.zeros_like(back[:, :1])], 1)
    state["post_quant_conv.bias"] = trained.post_quant_conv.bias
    model.load_state_dict(state, strict=False)
