"""Toy extensions of every kind, with random weights; ``weight=0`` makes them change nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.adapters.base import Adapter, Given, Loaded, Prepared
from var_spaces.adapters.low_rank import fresh_updates, updated
from var_spaces.adapters.overlay import with_weights
from var_spaces.backbones.context import RunContext
from var_spaces.backbones.extension import Extension
from var_spaces.backbones.rope import Rotary
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.cache.beside import Beside, scales_of_tokens


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True, eq=False)
class Rows(Extension):
    """One vector per row; what is learned depends on it, so mixed-up rows show."""

    of: Tensor  # (B,)
    heads: tuple[int, int]  # heads, head_dim
    weight: float = 1.0
    context: RunContext | None = None

    def per_row(self, seed: int, *shape: int) -> Tensor:
        """Noise ``(B, *shape)`` that belongs to the rows."""
        return noise(seed, *shape) * self.of.view(-1, *[1] * len(shape))

    def gather_rows(self, index: Tensor) -> Self:
        return replace(self, of=self.of[index])


class Prefix(Rows):
    """Three pinned keys and values in every block but the first."""

    def pinned(self, block):
        shape = (self.heads[0], 3, self.heads[1])
        return None if block == 0 else (self.per_row(block, *shape), self.per_row(-block, *shape))


class Front(Rows):
    """A token in front of the first, as a class token of a picture."""

    front = 1

    def enter(self, scales, x):
        if scales.start:
            return x
        return torch.cat((self.per_row(1, 1, x.shape[-1]), x), 1)

    def leave(self, scales, x):
        return x if scales.start else x[:, 1:]

    def rotary(self, scales, table):
        if scales.start:
            return table
        return Rotary(*(torch.cat((part[:1], part)) for part in table))


class Reference(Rows):
    """Attention to a reference with a softmax of its own: a scale sees coarser ones and itself."""

    def attend(self, block, scales, base):
        schedule, (heads, dim) = self.context.schedule, self.heads
        keys = scales_of_tokens(schedule, range(schedule.num_scales), "cpu")
        visible = scales_of_tokens(schedule, scales, "cpu")[:, None] >= keys
        k, v = (self.per_row(block + s, heads, len(keys), dim) for s in (10, 20))

        def both(q, own_k, own_v, scale, raw=None, beside=None):
            out = base(q, own_k, own_v, scale, raw, beside)
            rows = (q, k.expand(len(q), -1, -1, -1), v.expand(len(q), -1, -1, -1))
            return out + self.weight * F.scaled_dot_product_attention(
                *rows, attn_mask=visible, scale=scale
            )

        return both


class Pooled(Rows):
    """Keys and values of a source in the first block, in the size of every scale."""

    def attend(self, block, scales, base):
        if block:
            return base
        schedule, (heads, dim) = self.context.schedule, self.heads
        source = self.per_row(3, heads * dim, *schedule.last)
        maps = [F.adaptive_avg_pool2d(source, schedule.sizes[k]).flatten(2) for k in scales]
        k = torch.cat(maps, 2).unflatten(1, (heads, dim)).transpose(2, 3)
        own = scales_of_tokens(schedule, scales, "cpu")
        beside = Beside(k, -k, own[:, None] == own)

        def wider(q, own_k, own_v, scale, raw=None, more=None):
            assert more is None
            return base(q, own_k, own_v, scale, raw, beside)

        return wider


class Steered(Rows):
    """Other AdaLN, other text memory, and something before every second block."""

    def modulation(self, block, modulation):
        return modulation + self.weight * self.per_row(block, 1, *modulation.shape[2:])

    def memory(self, block, memory):
        values = memory.values + self.weight * self.per_row(block, *memory.values.shape[1:])
        return memory._replace(values=values)

    def before_block(self, block, scales, x):
        added = self.per_row(block, 1, x.shape[-1])
        return x + self.weight * added if block % 2 == 0 else x


EXTENSIONS = (Prefix, Front, Reference, Pooled, Steered)
NEUTRAL = (Reference, Steered)  # with weight 0 these change no bit


class Toy(Adapter):
    """An extension by its number, rows that differ, or other weights of the backbone."""

    name, title = "toy", "Toy"
    rows = ("full", "text", "null")

    number: int = -1  # of EXTENSIONS
    weight: float = 1.0
    other: str = ""  # "weights", "low-rank" or "text"

    def prepare(self, model: Loaded, given: Given) -> Prepared:
        return ToyPrepared(self)


class ToyPrepared(Prepared):
    def __init__(self, toy: Toy) -> None:
        self.toy = toy

    def extension(self, context, rows):
        if self.toy.number < 0:
            return super().extension(context, rows)
        known = {"full": 1.0, "text": 0.5, "null": 0.0}
        of = torch.tensor([known[row.name] + 0.1 * row.image for row in rows])
        memory = context.memory[0].keys.shape
        kind = EXTENSIONS[self.toy.number]
        return kind(of, (memory[1], memory[3]), self.toy.weight, context)

    def overlaid(self, backbone):
        names = [n for n, _ in backbone.named_parameters() if ".ffn.fc1.weight" in n]
        if self.toy.other == "weights":
            weights = dict(backbone.named_parameters())
            scale = 1 + self.toy.weight
            return with_weights(backbone, {n: weights[n] * scale for n in names})
        if self.toy.other == "low-rank":
            layers = fresh_updates(backbone, lambda name: f"{name}.weight" in names, 2, 2.0)
            for number, layer in enumerate(layers.values()):
                layer.up.weight.data = self.toy.weight * noise(number, *layer.up.weight.shape)
                layer.down.weight.data = noise(number + 9, *layer.down.weight.shape)
                layer.requires_grad_(False)
            return updated(backbone, layers)
        return backbone

    def text(self, prompts, row, encode):
        found = encode(prompts)
        if self.toy.other != "text":
            return found
        learned = noise(7, 2, found.packed.shape[1])
        return TextFeatures.of([torch.cat((rows, learned)) for rows in found.prompts()])
