"""Convolutional encoder and decoder of the VQ-GAN family, as VAR's tokenizer uses them.

Structure and parameter names are those of the published VAR tokenizer
(https://arxiv.org/abs/2404.02905, appendix; layout of ``vae_ch160v4096z32``). ``stem_patch`` is
ours: a pixel (un)shuffle around the network, which makes small models cheap; 1 is the published
network exactly. Without ``attention`` it is the network of Infinity's tokenizer (see
``flux_autoencoder.py``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ODD_GROUPS = 24  # what published networks use where the usual number of groups does not divide


def group_norm(channels: int, groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups if channels % groups == 0 else ODD_GROUPS, channels, eps=1e-6)


class ResBlock(nn.Module):
    """``x + conv2(silu(norm2(conv1(silu(norm1(x))))))``, 3x3; 1x1 shortcut on a width change."""

    def __init__(self, width_in: int, width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = group_norm(width_in, groups)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.norm2 = group_norm(width, groups)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return self.nin_shortcut(x) + h


class SpatialAttention(nn.Module):
    """Single-head self-attention over all positions of a map, with a residual connection."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = group_norm(width, groups)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).view(b, 3, c, h * w).transpose(2, 3).unbind(1)
        out = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(out.transpose(1, 2).reshape(b, c, h, w))


class Downsample(nn.Module):
    """Stride-2 convolution; zero padding on the right and bottom only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Nearest-neighbour doubling followed by a 3x3 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Level(nn.Module):
    """Blocks of one resolution; attention follows each block on the lowest level only."""

    def __init__(self, widths: Sequence[int], groups: int, attention: bool) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.block = nn.ModuleList(ResBlock(a, b, groups) for a, b in pairs)
        self.attn = nn.ModuleList(SpatialAttention(b, groups) for _, b in pairs if attention)

    def blocks(self, x: Tensor) -> Tensor:
        for index, block in enumerate(self.block):
            x = block(x)
            if self.attn:
                x = self.attn[index](x)
        return x


class Middle(nn.Module):
    """Two residual blocks at the lowest resolution, with attention between them if wanted."""

    def __init__(self, width: int, groups: int, attention: bool = True) -> None:
        super().__init__()
        self.block_1 = ResBlock(width, width, groups)
        if attention:
            self.attn_1 = SpatialAttention(width, groups)
        self.attention = attention
        self.block_2 = ResBlock(width, width, groups)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block_1(x)
        return self.block_2(self.attn_1(x) if self.attention else x)


class Encoder(nn.Module):
    """Images ``(B, in_channels, H, W)`` to latents ``(B, z, H / f, W / f)``.

    ``f = stem_patch * 2 ** (len(ch_mult) - 1)``.
    """

    def __init__(
        self,
        *,
        ch: int,
        ch_mult: Sequence[int],
        num_res_blocks: int,
        z_channels: int,
        in_channels: int = 3,
        stem_patch: int = 1,
        norm_groups: int = 32,
        attention: bool = True,
    ) -> None:
        super().__init__()
        self.stem_patch = stem_patch
        self.conv_in = nn.Conv2d(in_channels * stem_patch**2, ch, 3, padding=1)
        self.down = nn.ModuleList()
        width = ch
        for index, mult in enumerate(ch_mult):
            lowest = index == len(ch_mult) - 1
            widths = [width] + [ch * mult] * num_res_blocks
            level = Level(widths, norm_groups, attention=attention and lowest)
            width = ch * mult
            if not lowest:
                level.downsample = Downsample(width)
            self.down.append(level)
        self.mid = Middle(width, norm_groups, attention)
        self.norm_out = group_norm(width, norm_groups)
        self.conv_out = nn.Conv2d(width, z_channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        x = F.pixel_unshuffle(images, self.stem_patch) if self.stem_patch > 1 else images
        x = self.conv_in(x)
        for level in self.down[:-1]:
            x = level.downsample(level.blocks(x))
        x = self.mid(self.down[-1].blocks(x))
        return self.conv_out(F.silu(self.norm_out(x)))


class Decoder(nn.Module):
    """Latents ``(B, z, h, w)`` to images ``(B, in_channels, f * h, f * w)``, not clamped.

    Has one more residual block per level than the encoder.
    """

    def __init__(
        self,
        *,
        ch: int,
        ch_mult: Sequence[int],
        num_res_blocks: int,
        z_channels: int,
        in_channels: int = 3,
        stem_patch: int = 1,
        norm_groups: int = 32,
        attention: bool = True,
    ) -> None:
        super().__init__()
        self.stem_patch = stem_patch
        width = ch * ch_mult[-1]
        self.conv_in = nn.Conv2d(z_channels, width, 3, padding=1)
        self.mid = Middle(width, norm_groups, attention)
        levels: list[Level] = []
        for index in reversed(range(len(ch_mult))):
            widths = [width] + [ch * ch_mult[index]] * (num_res_blocks + 1)
            lowest = index == len(ch_mult) - 1
            level = Level(widths, norm_groups, attention=attention and lowest)
            width = ch * ch_mult[index]
            if index > 0:
                level.upsample = Upsample(width)
            levels.append(level)
        # Published files number levels by resolution, finest first; they run coarsest first.
        self.up = nn.ModuleList(reversed(levels))
        self.norm_out = group_norm(width, norm_groups)
        self.conv_out = nn.Conv2d(width, in_channels * stem_patch**2, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        x = self.mid(self.conv_in(latent))
        for level in reversed(self.up[1:]):
            x = level.upsample(level.blocks(x))
        x = self.up[0].blocks(x)
        x = self.conv_out(F.silu(self.norm_out(x)))
        return F.pixel_shuffle(x, self.stem_patch) if self.stem_patch > 1 else x


def initialise(module: nn.Module, gain: float = 0.5) -> None:
    """Xavier-normal convolutions with zero bias (the group's own tokenizer trainer does this)."""
    for layer in module.modules():
        if hasattr(layer, "kernel_size"):
            nn.init.xavier_normal_(layer.weight, gain=gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def area_pool(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Area resampling, i.e. adaptive average pooling with overlapping bins where needed."""
    return x if x.shape[-2:] == torch.Size(size) else F.interpolate(x, size=size, mode="area")
