"""Encoder and decoder of FlexVAR's tokenizer (https://arxiv.org/abs/2502.20313, public code).

The network is the one of ``autoencoder.py``; published files name its parts differently and keep
queries, keys and values of the attention apart (layout of LlamaGen's ``VQ-16``).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.tokenizers.autoencoder import Decoder, Encoder, Level, ResBlock, group_norm


class MapAttention(nn.Module):
    """Single-head self-attention over all positions of a map, with a residual connection."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = group_norm(width, groups)
        self.q = nn.Conv2d(width, width, 1)
        self.k = nn.Conv2d(width, width, 1)
        self.v = nn.Conv2d(width, width, 1)
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (part(h).flatten(2).transpose(1, 2) for part in (self.q, self.k, self.v))
        out = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return x + self.proj_out(out.transpose(1, 2).reshape(x.shape))


class FlexLevel(Level):
    """Blocks of one resolution; with ``attention`` one follows each block."""

    name, attention = "res", MapAttention


class FlexMiddle(nn.Sequential):
    """Two residual blocks at the lowest resolution with attention between them."""

    def __init__(self, width: int, groups: int, attention: bool = True) -> None:
        between = [MapAttention(width, groups)] if attention else []
        super().__init__(ResBlock(width, width, groups), *between, ResBlock(width, width, groups))


class FlexEncoder(Encoder):
    """Images ``(B, in_channels, H, W)`` to features ``(B, z, H / f, W / f)``."""

    name = "conv_blocks"
    level, middle = FlexLevel, FlexMiddle


class FlexDecoder(Decoder):
    """Features ``(B, z, h, w)`` to images ``(B, in_channels, f * h, f * w)``, not clamped."""

    name = "conv_blocks"
    level, middle = FlexLevel, FlexMiddle
    finest_first = False
