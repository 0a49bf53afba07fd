"""Encoder and decoder of FlexVAR's tokenizer (https://arxiv.org/abs/2502.20313, public code).

The network is the one of ``autoencoder.py``; published files name its parts differently and keep
queries, keys and values of the attention apart (layout of LlamaGen's ``VQ-16``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.tokenizers.autoencoder import Downsample, ResBlock, Upsample, group_norm


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


class Level(nn.Module):
    """Blocks of one resolution; with ``attention`` one follows each block."""

    def __init__(self, widths: Sequence[int], groups: int, attention: bool) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.res = nn.ModuleList(ResBlock(a, b, groups) for a, b in pairs)
        self.attn = nn.ModuleList(MapAttention(b, groups) for _, b in pairs if attention)

    def blocks(self, x: Tensor) -> Tensor:
        for index, block in enumerate(self.res):
            x = block(x)
            if self.attn:
                x = self.attn[index](x)
        return x


def middle(width: int, groups: int) -> nn.Sequential:
    """Two residual blocks at the lowest resolution with attention between them."""
    return nn.Sequential(
        ResBlock(width, width, groups),
        MapAttention(width, groups),
        ResBlock(width, width, groups),
    )


class FlexEncoder(nn.Module):
    """Images ``(B, in_channels, H, W)`` to features ``(B, z, H / f, W / f)``."""

    def __init__(
        self,
        *,
        ch: int,
        ch_mult: Sequence[int],
        num_res_blocks: int,
        z_channels: int,
        in_channels: int,
        stem_patch: int,
        norm_groups: int,
    ) -> None:
        super().__init__()
        self.stem_patch = stem_patch
        self.conv_in = nn.Conv2d(in_channels * stem_patch**2, ch, 3, padding=1)
        self.conv_blocks = nn.ModuleList()
        width = ch
        for index, mult in enumerate(ch_mult):
            lowest = index == len(ch_mult) - 1
            level = Level([width] + [ch * mult] * num_res_blocks, norm_groups, attention=lowest)
            width = ch * mult
            if not lowest:
                level.downsample = Downsample(width)
            self.conv_blocks.append(level)
        self.mid = middle(width, norm_groups)
        self.norm_out = group_norm(width, norm_groups)
        self.conv_out = nn.Conv2d(width, z_channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        x = F.pixel_unshuffle(images, self.stem_patch) if self.stem_patch > 1 else images
        x = self.conv_in(x)
        for level in self.conv_blocks[:-1]:
            x = level.downsample(level.blocks(x))
        x = self.mid(self.conv_blocks[-1].blocks(x))
        return self.conv_out(F.silu(self.norm_out(x)))


class FlexDecoder(nn.Module):
    """Features ``(B, z, h, w)`` to images ``(B, in_channels, f * h, f * w)``, not clamped.

    Levels are numbered as they run, coarsest first; each has one block more than the encoder's.
    """

    def __init__(
        self,
        *,
        ch: int,
        ch_mult: Sequence[int],
        num_res_blocks: int,
        z_channels: int,
        in_channels: int,
        stem_patch: int,
        norm_groups: int,
    ) -> None:
        super().__init__()
        self.stem_patch = stem_patch
        width = ch * ch_mult[-1]
        self.conv_in = nn.Conv2d(z_channels, width, 3, padding=1)
        self.mid = middle(width, norm_groups)
        self.conv_blocks = nn.ModuleList()
        for index in reversed(range(len(ch_mult))):
            widths = [width] + [ch * ch_mult[index]] * (num_res_blocks + 1)
            level = Level(widths, norm_groups, attention=index == len(ch_mult) - 1)
            width = ch * ch_mult[index]
            if index > 0:
                level.upsample = Upsample(width)
            self.conv_blocks.append(level)
        self.norm_out = group_norm(width, norm_groups)
        self.conv_out = nn.Conv2d(width, in_channels * stem_patch**2, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        x = self.mid(self.conv_in(features))
        for level in self.conv_blocks[:-1]:
            x = level.upsample(level.blocks(x))
        x = self.conv_blocks[-1].blocks(x)
        x = self.conv_out(F.silu(self.norm_out(x)))
        return F.pixel_shuffle(x, self.stem_patch) if self.stem_patch > 1 else x
