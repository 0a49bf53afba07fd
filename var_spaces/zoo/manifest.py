"""What a weight file of a model holds: every key with shape and type, without any weight.

Published files carry buffers beside the parameters. They follow from the configuration, so a
module has none of them and a loader skips them; a manifest lists them all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.zoo.cards import Card, base_of
from var_spaces.zoo.skeleton import skeleton

# key -> [shape, dtype]
Manifest = dict[str, list[Any]]


def build(card: Card) -> nn.Module:
    """The module that the weights of a card fill, with shapes and without memory.

    That of an adapter holds what it adds alone; the module of ``base_of(card)`` is its base.

    Raises:
        VarSpacesError: if the architecture in the card does not work.
    """
    try:
        if card.base:
            adapter = methods.parse("adapter", card.adapter)
            return skeleton(lambda: adapter.build(card.kind.configure(card.architecture)))
        return skeleton(lambda: card.kind.build(card.architecture))
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        what = "adapter" if card.base else "architecture"
        raise VarSpacesError(f"Model '{card.id}': bad {what} in its card: {reason}") from None


def manifest(card: Card) -> Manifest:
    """All entries of a weight file of the card's model, as its authors write it."""
    module = build(card)
    own = {key: _entry(tensor.shape, tensor.dtype) for key, tensor in module.state_dict().items()}
    if not card.base:
        return own | FILE_BUFFERS[card.family](module)
    return methods.parse("adapter", card.adapter).file_entries(own, manifest(base_of(card)))


def _entry(shape: Any, dtype: torch.dtype = torch.float32) -> list[Any]:
    return [list(shape), str(dtype).removeprefix("torch.")]


def _key_biases(module: nn.Module) -> Manifest:
    """Keys have no bias; files hold the zeros."""
    return {
        f"{key.removesuffix('v_bias')}zero_k_bias": _entry(tensor.shape)
        for key, tensor in module.state_dict().items()
        if key.endswith(".v_bias")
    }


def _var(module: Any) -> Manifest:
    total = module.schedule.total
    return {
        "lvl_1L": _entry((1, total), torch.int64),
        "attn_bias_for_masking": _entry((1, 1, total, total)),
        **_key_biases(module),
    }


def _flexvar(module: Any) -> Manifest:
    total = module.schedule.total
    return {"attn_bias_for_masking": _entry((1, 1, total, total)), **_key_biases(module)}


def _flex_vq(module: Any) -> Manifest:
    return {"quantize.codebook_used": _entry((65536,))}


def _residual_vq(module: Any) -> Manifest:
    return {"quantize.ema_vocab_hit_SV": _entry((module.schedule.num_scales, module.vocab_size))}


def _bitwise(module: Any) -> Manifest:
    mask = _entry((module.bits,), torch.int64)
    return {"quantizer.lfq.mask": mask, "quantize.lfq.mask": mask}


# Buffers of the files of a family; a new family gets its line here.
FILE_BUFFERS: dict[str, Callable[[Any], Manifest]] = {
    "var": _var,
    "hmar": _var,
    "infinity": _key_biases,
    "varedit": _key_biases,
    "flexvar": _flexvar,
    "flex-vq": _flex_vq,
    "residual-vq": _residual_vq,
    "bitwise": _bitwise,
}
