"""Which layers of a generator may have weights of 8 or 4 bits, and what that takes in memory.

Those of its blocks: they hold nearly all weights. Embeddings, text projections and the head stay as
they are, as usual for bitsandbytes, because little is gained there and much can be lost.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from var_spaces.backbones.quantised import KINDS
from var_spaces.zoo.environment import NO_QUANT

State = dict[str, Tensor]


def quantisable(module: nn.Module) -> dict[str, nn.Linear]:
    """Linear layers in the repeated parts of a module, by name."""
    repeated = tuple(
        f"{name}." for name, part in module.named_modules() if isinstance(part, nn.ModuleList)
    )
    return {
        name: layer
        for name, layer in module.named_modules()
        if name.startswith(repeated) and isinstance(layer, nn.Linear)
    }


def quantise_layer(
    module: nn.Module,
    name: str,
    weight: Tensor,
    bias: Tensor | None,
    kind: str,
    dtype: torch.dtype,
    device: torch.device | str,
) -> None:
    """Put a quantised layer in the place of a linear one.

    Args:
        name: of the layer in ``module``.
        weight, bias: as stored, anywhere.
        kind: a key of ``KINDS``.
        dtype: in which the layer computes.
    """
    own = None if bias is None else bias.to(device, dtype, copy=True)
    layer = KINDS[kind](weight.to(device), own)
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, layer)


def quantised_bytes(module: nn.Module, dtype: torch.dtype, quant: str, under: str = "") -> int:
    """Bytes that the weights of quantisable layers take beyond those in ``dtype``; mostly below 0.

    Args:
        under: only layers whose names start so.
    """
    if quant == NO_QUANT:
        return 0
    kind = KINDS[quant]
    return sum(
        kind.nbytes(*layer.weight.shape) - layer.weight.numel() * dtype.itemsize
        for name, layer in quantisable(module).items()
        if name.startswith(under)
    )
