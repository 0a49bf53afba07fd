"""Pictures of a class as the base model draws them, with its logits: what is not to be forgotten.

Prior distillation of ARBooth (https://arxiv.org/abs/2504.02612, section 4.3). The teacher draws
without guidance and every scale sees all earlier ones through a KV cache, as the paper describes.
The public code passes neither cache nor scale, so there every scale sees only itself, at the
positions of the first tokens; :class:`ScaleAlone` does the same, to compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.backbones.context import RunContext
from var_spaces.backbones.extension import IDENTITY, Extension
from var_spaces.backbones.rope import Rotary
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.cache.kv import KVCache
from var_spaces.schedule import ScaleSchedule

# logits (B, l, n, 2) -> bits (B, l, n) int64
SampleBits = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a teacher drew.

    Attributes:
        bits: of all scales, ``(B, L, n)`` int64.
        tokens: inputs of scales 1.., ``(B, L - 1, n)``, ready for teacher forcing.
        logits: ``(B, L, n, 2)`` float32, before the temperature.
    """

    bits: Tensor
    tokens: Tensor
    logits: Tensor


@dataclass(frozen=True)
class Sampled:
    """Draws bits at a temperature; the unlikelier one is left out where its share is small.

    Args:
        temperature: published 0.5.
        top_p: published 0.97; the likelier bit stays whatever it is, as in all nucleus sampling, so
            half and less take it always.
        generator: on the CPU.
    """

    temperature: float
    top_p: float
    generator: torch.Generator | None = None

    def __call__(self, logits: Tensor) -> Tensor:
        difference = (logits[..., 1] - logits[..., 0]) / self.temperature
        share = difference.sigmoid()
        share = torch.where(share <= 1 - self.top_p, 0.0, share)
        share = torch.where(share >= self.top_p, 1.0, share)
        if self.top_p <= 0.5:
            share = (difference > 0).float()
        noise = torch.rand(share.shape, generator=self.generator).to(share.device)
        return (noise < share).long()


class ScaleAlone(Extension):
    """Positions of the first tokens, whatever the scale, on top of another extension.

    Args:
        table: positions of the whole schedule.
    """

    def __init__(self, table: Rotary, base: Extension = IDENTITY) -> None:
        self.table, self.base = table, base

    def before_block(self, block: int, scales: range, x: Tensor) -> Tensor:
        return self.base.before_block(block, scales, x)

    def rotary(self, scales: range, table: Rotary) -> Rotary:
        return self.table.span(slice(len(table.cos)))


@torch.no_grad()
def draw(
    backbone: Any,
    tokenizer: Any,
    text: TextFeatures,
    sample: SampleBits,
    *,
    extend: Callable[[RunContext], Extension] | None = None,
    schedule: ScaleSchedule | None = None,
    cached: bool = True,
) -> Drawn:
    """Draw one picture per prompt.

    Args:
        text: features of the prompts.
        extend: makes what an adapter adds.
        cached: every scale sees those before it; else only itself, as in the public code.
    """
    schedule = schedule or backbone.schedule
    context = backbone.context(backbone.condition(text), schedule)
    extension = extend(context) if extend else IDENTITY
    if not cached:
        extension = ScaleAlone(context.rotary, extension)
    context = context.extended(extension)
    forward = _cached(backbone, context, len(text)) if cached else _alone(backbone, context)
    f_hat = tokenizer.new_latent(len(text), schedule, text.packed.device)
    x, bits, inputs, logits = backbone.start(context), [], [], []
    for scale in range(schedule.num_scales):
        logits.append(backbone.logits(forward(x, range(scale, scale + 1)), context))
        bits.append(sample(logits[-1]))
        f_hat = tokenizer.accumulate(f_hat, tokenizer.embed(bits[-1]), scale, schedule)
        if scale < schedule.num_scales - 1:
            inputs.append(tokenizer.next_input(f_hat, scale, schedule))
            x = backbone.embed_scale(inputs[-1], scale + 1, context)
    return Drawn(*(torch.cat(parts, 1) for parts in (bits, inputs, logits)))


def _cached(backbone: Any, context: RunContext, rows: int) -> Callable[[Tensor, range], Tensor]:
    layers, heads, head_dim = backbone.kv_layout()
    first = next(backbone.parameters())
    cache = KVCache(
        layers=layers,
        rows=rows,
        heads=heads,
        head_dim=head_dim,
        capacity=context.schedule.total,
        dtype=first.dtype,
        device=first.device,
    )
    return lambda x, scales: backbone.forward_scale(x, scales, context, cache)


def _alone(backbone: Any, context: RunContext) -> Callable[[Tensor, range], Tensor]:
    return lambda x, scales: backbone.walk(x, scales, context, lambda block: _itself)


def _itself(q: Tensor, k: Tensor, v: Tensor, scale: float, *more: Any, **named: Any) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, scale=scale)
