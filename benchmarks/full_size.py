"""What published sizes of VAR and HMAR need, counted on tensors without memory: exact, no GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from var_spaces.backbones.config import PATCH_NUMS, VARConfig
from var_spaces.backbones.hmar import HMAR
from var_spaces.backbones.hmar_config import HMARConfig
from var_spaces.backbones.var import VAR
from var_spaces.cache.full import Full
from var_spaces.cache.kv import KVCache
from var_spaces.cache.none import NoCache
from var_spaces.decoding.strategies.masked import MaskedDecoding
from var_spaces.schedule import ScaleSchedule
from var_spaces.zoo.skeleton import skeleton

ROWS = 2  # one image with guidance
META = torch.device("meta")
HALF = 2  # bytes of a float16
# Passes of each scale, as published for these resolutions.
STEPS = {256: (1, 2, 4), 512: (1, 2, 4, 2), 1024: (1, 2, 4, 3)}


def counted(depth: int, resolution: int) -> dict[str, Any]:
    """Weights, attention state and operations of one guided image, and of training on one.

    Bytes are those of float16, operations count a multiply-add as two.
    """
    config = replace(VARConfig.published(depth), patch_nums=PATCH_NUMS[resolution])
    var = skeleton(lambda: VAR(config))
    hmar = skeleton(lambda: HMAR(HMARConfig.branching(config, 8)))
    schedule = var.schedule
    layers, heads, head_dim = var.kv_layout()
    sizes = {"layers": layers, "rows": ROWS, "heads": heads, "head_dim": head_dim}
    sizes |= {"dtype": torch.float16, "device": META}
    cache, nothing = (policy.new_cache(schedule, **sizes) for policy in (Full(), NoCache()))
    flops = {"var": _drawing(var, cache), "hmar": _drawing(hmar, nothing, STEPS[resolution])}
    flops["hmar_next_scale_only"] = _drawing(hmar, nothing)
    one_layer = 2 * ROWS * max(schedule.lengths) * config.width * HALF
    return {
        "depth": depth,
        "resolution": resolution,
        "passes": sum(_passes(schedule, STEPS[resolution])),
        "weights_var": _weights(var),
        "weights_hmar": _weights(hmar),
        "kv_var": cache.nbytes,
        "kv_hmar": 0,
        "largest_scale_kv": one_layer,
        "flops": flops,
        "training_attention": _training_attention(schedule),
    }


def _weights(module: torch.nn.Module) -> int:
    return HALF * sum(parameter.numel() for parameter in module.parameters())


def _passes(schedule: ScaleSchedule, steps: tuple[int, ...]) -> list[int]:
    decoding = MaskedDecoding(steps=steps)
    return [len(decoding.split(k, n)) for k, n in enumerate(schedule.lengths)]


@torch.no_grad()
def _drawing(model: Any, cache: KVCache, steps: tuple[int, ...] = (1,)) -> int:
    """Operations of the transformer for one image."""
    passes = _passes(model.schedule, steps)
    with FlopCounterMode(display=False) as counter:
        plain = model.context(torch.empty(ROWS, model.config.width, device=META))
        for scale, length in enumerate(model.schedule.lengths):
            x = torch.empty(ROWS, length, model.config.width, device=META)
            for step in range(passes[scale]):
                context = plain.masked if step else plain
                hidden = model.forward_scale(x, range(scale, scale + 1), context, cache)
                model.logits(hidden, context)
    return counter.get_total_flops()


def _training_attention(schedule: ScaleSchedule) -> dict[str, float]:
    """Pairs of tokens that see each other, as a share of all pairs: what a block-sparse kernel
    has to compute."""
    lengths, ends = schedule.lengths, schedule.offsets[1:]
    pairs = schedule.total**2
    return {
        "var": sum(n * end for n, end in zip(lengths, ends, strict=True)) / pairs,
        "hmar": sum(n * n for n in lengths) / pairs,
    }
