"""Layers of Infinity: attention with rotary positions, attention to text, the block, text pooling.

Parameter names are those of the published files (https://arxiv.org/abs/2412.04431, public code).
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.backbones import fused
from var_spaces.backbones.dense_attention import dense_attention
from var_spaces.backbones.layers import (
    Attend,
    FeedForward,
    Projection,
    SelfAttention,
)
from var_spaces.backbones.products import Linear
from var_spaces.backbones.rope import Rotary


class TextMemory(NamedTuple):
    """Keys and values of the text for one attention layer, ``(B, H, T, D)``, and what is text.

    ``mask (B, 1, 1, T)`` is True at text, or None if there is no padding.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None

    def attend(self, q: Tensor) -> Tensor:
        """Attended values ``(B, H, l, D)`` for queries ``(B, H, l, D)``, scores over root D."""
        return dense_attention(q, self.keys.to(q.dtype), self.values.to(q.dtype), self.mask)

    def gather_rows(self, index: Tensor) -> TextMemory:
        mask = None if self.mask is None else self.mask[index]
        return TextMemory(self.keys[index], self.values[index], mask)


class RotaryAttention(SelfAttention):
    """Self-attention whose normalised queries and keys carry their position."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, l2_norm=True)

    def forward(self, x: Tensor, attend: Attend, rotary: Rotary) -> Tensor:
        """``x (B, l, C)`` after attention; the cache sees rotated keys."""
        q, k, v = self.project(x)
        raw = partial(self.raw_queries, x)
        out = attend(rotary.turn(q), rotary.turn(k), v, self.score_scale, raw)
        return self.proj(out.transpose(1, 2).reshape(x.shape))


class TextKeys(nn.Module):
    """Projection of text features to keys and values; keys have no bias."""

    def __init__(self, text_dim: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.mat_kv = Projection(text_dim, 2 * width)
        self.v_bias = nn.Parameter(torch.zeros(width))

    def memory(self, text: Tensor, mask: Tensor | None) -> TextMemory:
        """Keys and values of padded text ``(B, T, E)``; ``mask (B, T)``."""
        bias = torch.cat((torch.zeros_like(self.v_bias), self.v_bias))
        both = self.mat_kv(text.to(bias.dtype), bias)
        both = both.unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return TextMemory(both[0], both[1], None if mask is None else mask[:, None, None])


class CrossAttention(TextKeys):
    """Attention of image tokens to the text."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, width, heads)
        self.mat_q = Linear(width, width)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor, memory: TextMemory) -> Tensor:
        q = self.mat_q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return self.proj(memory.attend(q).transpose(1, 2).reshape(x.shape))


class TextPooling(TextKeys):
    """One vector of a whole prompt: attention with a learned query."""

    def __init__(self, text_dim: int, width: int, heads: int) -> None:
        super().__init__(text_dim, width, heads)
        self.mat_q = nn.Parameter(torch.zeros(1, heads, width // heads))
        self.proj = Linear(width, width)

    def forward(self, text: Tensor, mask: Tensor | None) -> Tensor:
        """Padded text ``(B, T, E)`` to ``(B, C)``."""
        query = self.mat_q.unsqueeze(2).expand(text.shape[0], -1, -1, -1)
        out = self.memory(text, mask).attend(query)
        return self.proj(out.flatten(1))


class RMSNorm(nn.Module):
    """``x / rms(x) * weight`` in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), x.shape[-1:], self.weight.float(), self.eps)


class InfinityBlock(nn.Module):
    """Modulated self-attention and feed-forward, with attention to the text between them.

    The modulation ``(B, 1, 6, C)`` is ordered as in VAR: two gates, two scales, two shifts.
    Attention to the text has a norm of its own, no gate and no modulation.
    """

    # methods that models and adapters call beside ``forward``
    calls = ("modulation", "memory", "attended", "read", "fed")

    def __init__(self, width: int, heads: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.ada_gss = nn.Parameter(torch.zeros(1, 1, 6, width))
        self.sa = RotaryAttention(width, heads)
        self.ca = CrossAttention(width, heads)
        self.ffn = FeedForward(width, hidden)
        self.ca_norm = nn.LayerNorm(width, eps=eps)

    def modulation(self, shared: Tensor) -> Tensor:
        """``(B, 1, 6, C)`` float32 from the shared projection ``(B, 6 C)``."""
        return self.ada_gss.float() + shared.float().view(shared.shape[0], 1, 6, -1)

    def memory(self, text: Tensor, mask: Tensor | None) -> TextMemory:
        """Keys and values of projected text ``(B, T, C)``; ``mask (B, T)``."""
        return self.ca.memory(text, mask)

    def forward(
        self, x: Tensor, modulation: Tensor, attend: Attend, rotary: Rotary, memory: TextMemory
    ) -> Tensor:
        """Residual stream ``x (B, l, C)`` float32 after this block."""
        # By the class: what a spread model hangs on these methods is for calls from outside.
        x = InfinityBlock.attended(self, x, modulation, attend, rotary)
        return InfinityBlock.fed(self, InfinityBlock.read(self, x, memory), modulation)

    def attended(self, x: Tensor, modulation: Tensor, attend: Attend, rotary: Rotary) -> Tensor:
        """``x`` after the first part of the block, attention."""
        gate, _, scale, _, shift, _ = modulation.unbind(2)
        h = self.sa(fused.modulated(x, scale, shift, self.eps, self.dtype), attend, rotary)
        return fused.joined(x, h, gate)

    def read(self, x: Tensor, memory: TextMemory) -> Tensor:
        """``x`` after the second part, attention to the text."""
        norm = self.ca_norm
        h = F.layer_norm(x, x.shape[-1:], norm.weight.float(), norm.bias.float(), self.eps)
        return x + self.ca(h.to(self.dtype), memory)

    def fed(self, x: Tensor, modulation: Tensor) -> Tensor:
        """``x`` after the last part, the feed-forward network."""
        _, gate, _, scale, _, shift = modulation.unbind(2)
        h = self.ffn(fused.modulated(x, scale, shift, self.eps, self.dtype))
        return fused.joined(x, h, gate)

    @property
    def dtype(self) -> torch.dtype:
        """In which its linear layers compute."""
        return self.ffn.fc1.bias.dtype

    @torch.no_grad()
    def initialise(self, depth: int, gate: float, adaln: float) -> None:
        """Small residual branches and gates; linear layers are drawn by the model."""
        for branch in (self.sa.proj, self.ca.proj, self.ffn.fc2):
            branch.weight.div_(math.sqrt(2 * depth))
        self.ada_gss.normal_().div_(math.sqrt(self.ada_gss.shape[-1]))
        self.ada_gss[:, :, :2].mul_(gate)
        self.ada_gss[:, :, 2:].mul_(adaln)


class Chunk(nn.Module):
    """Consecutive blocks, under the name that published files give them."""

    def __init__(self, blocks: list[InfinityBlock]) -> None:
        super().__init__()
        self.module = nn.ModuleList(blocks)


class PooledText(nn.Module):
    """Holder of the pooling layer, under its published name."""

    def __init__(self, text_dim: int, width: int, heads: int) -> None:
        super().__init__()
        self.ca = TextPooling(text_dim, width, heads)
