"""Layout of Infinity's tokenizers (https://arxiv.org/abs/2412.04431, public code).

The network is the one of ``autoencoder.py`` without attention. Published files wrap every
convolution and every norm once more, so their keys end in ``.conv.weight`` or ``.norm.weight``;
some writers leave that segment out. Modules here have the full keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from var_spaces.tokenizers.winograd import Conv3x3

# Convolutions and norms by their own names; published keys have one segment more behind them.
_LAYER = (
    r"(?P<name>(?:conv_in|conv_out|conv[12]|nin_shortcut|sample\.conv)"
    r"|(?P<norm>norm_out|norm[12]))"
)
_SHORT = re.compile(rf"(?:(?:en|de)coder\.)(?:.*\.)?{_LAYER}\.(?P<kind>weight|bias)")
_FULL = re.compile(rf"{_LAYER}\.(?(norm)norm|conv)\.(?P<kind>weight|bias)$")


class Wrapped(nn.Module):
    """One layer under a second name; computes what the layer computes."""

    def __init__(self, name: str, layer: nn.Module) -> None:
        super().__init__()
        self.layer_name = name
        self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.get_submodule(self.layer_name)(x)


def wrap_layers(module: nn.Module) -> nn.Module:
    """Wrap all convolutions and group norms below ``module``; returns it."""
    names = {nn.Conv2d: "conv", Conv3x3: "conv", nn.GroupNorm: "norm"}
    for key, child in list(module.named_children()):
        name = names.get(type(child))
        setattr(module, key, Wrapped(name, child) if name else wrap_layers(child))
    return module


def full_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with the keys of published files, whichever of the two spellings it has."""
    return {_full(key): tensor for key, tensor in state.items()}


def short_key(key: str) -> str:
    """A key of this layout or of ``autoencoder.py`` as the latter spells it."""
    return _FULL.sub(r"\g<name>.\g<kind>", key)


def _full(key: str) -> str:
    # "down.0.downsample.conv.weight" is short, "down.0.downsample.conv.conv.weight" is full.
    short = _SHORT.fullmatch(key.replace("downsample", "sample").replace("upsample", "sample"))
    if not short:
        return key
    stem, _, kind = key.rpartition(".")
    return f"{stem}.{'norm' if short['norm'] else 'conv'}.{kind}"
