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
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.winograd import Conv3x3

ODD_GROUPS = 24  # what published networks use where the usual number of groups does not divide


def group_norm(channels: int, groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups if channels % groups == 0 else ODD_GROUPS, channels, eps=1e-6)


class ResBlock(nn.Module):
    """``x + conv2(silu(norm2(conv1(silu(norm1(x))))))``, 3x3; 1x1 shortcut on a width change."""

    def __init__(self, width_in: int, width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = group_norm(width_in, groups)
        self.conv1 = Conv3x3(width_in, width)
        self.norm2 = group_norm(width, groups)
        self.conv2 = Conv3x3(width, width)
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
        self.conv = Conv3x3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Level(nn.Module):
    """Blocks of one resolution; attention follows each block on the lowest level only."""

    name, attention = "block", SpatialAttention

    def __init__(self, widths: Sequence[int], groups: int, attention: bool) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.add_module(self.name, nn.ModuleList(ResBlock(a, b, groups) for a, b in pairs))
        self.attn = nn.ModuleList(self.attention(b, groups) for _, b in pairs if attention)

    def blocks(self, x: Tensor) -> Tensor:
        for index, block in enumerate(self.get_submodule(self.name)):
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


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """Sizes of an encoder and of its decoder.

    Args:
        ch, ch_mult: width of the finest level, and of every level as a multiple of it.
        num_res_blocks: residual blocks per level; the decoder has one more.
        z_channels: channels of a latent position.
        stem_patch: pixel (un)shuffle factor around the network.
        norm_groups: groups of the group norms.
        attention: whether the lowest level and the middle have attention.
    """

    ch: int
    ch_mult: Sequence[int]
    num_res_blocks: int
    z_channels: int
    in_channels: int = 3
    stem_patch: int = 1
    norm_groups: int = 32
    attention: bool = True

    @classmethod
    def of(cls, config: object, **others: Any) -> NetworkSizes:
        """What a tokenizer's configuration says, by the names of the fields, and ``others``."""
        named = {field.name for field in fields(cls)} - set(others)
        return cls(**{n: getattr(config, n) for n in named if hasattr(config, n)}, **others)

    @property
    def pixels(self) -> int:
        """Channels of an image after the pixel unshuffle."""
        return self.in_channels * self.stem_patch**2

    @property
    def downsample(self) -> int:
        """Pixels per latent position along a side."""
        return self.stem_patch * 2 ** (len(self.ch_mult) - 1)


class Levels(nn.Module):
    """What encoder and decoder share: a list of levels under its published name."""

    name = "down"
    level, middle = Level, Middle

    @property
    def levels(self) -> nn.ModuleList:
        """Levels in the published order."""
        return getattr(self, self.name)


class Encoder(Levels):
    """Images ``(B, in_channels, H, W)`` to latents ``(B, z, H / f, W / f)``.

    ``f = stem_patch * 2 ** (len(ch_mult) - 1)``.
    """

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.stem_patch, groups = sizes.stem_patch, sizes.norm_groups
        widths = [sizes.ch * mult for mult in sizes.ch_mult]
        self.conv_in = Conv3x3(sizes.pixels, sizes.ch)
        levels = nn.ModuleList()
        before = sizes.ch
        for index, width in enumerate(widths):
            lowest = index == len(widths) - 1
            blocks = [before] + [width] * sizes.num_res_blocks
            level = self.level(blocks, groups, sizes.attention and lowest)
            if not lowest:
                level.downsample = Downsample(width)
            levels.append(level)
            before = width
        self.add_module(self.name, levels)
        self.mid = self.middle(before, groups, sizes.attention)
        self.norm_out = group_norm(before, groups)
        self.conv_out = Conv3x3(before, sizes.z_channels)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Features of every level, finest first, and of the middle, ``(B, C, h, w)`` each."""
        x = F.pixel_unshuffle(images, self.stem_patch) if self.stem_patch > 1 else images
        x = self.conv_in(x)
        *upper, lowest = self.levels
        found = []
        for level in upper:
            found.append(level.blocks(x))
            x = level.downsample(found[-1])
        x = lowest.blocks(x)
        return [*found, x, self.mid(x)]

    def forward(self, images: Tensor) -> Tensor:
        return self.conv_out(F.silu(self.norm_out(self.maps(images)[-1])))


class Decoder(Levels):
    """Latents ``(B, z, h, w)`` to images ``(B, in_channels, f * h, f * w)``, not clamped.

    Has one more residual block per level than the encoder.
    """

    name = "up"
    finest_first = True  # published files number levels by resolution; they run coarsest first

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.stem_patch, groups = sizes.stem_patch, sizes.norm_groups
        widths = [sizes.ch * mult for mult in sizes.ch_mult]
        before = widths[-1]
        self.conv_in = Conv3x3(sizes.z_channels, before)
        self.mid = self.middle(before, groups, sizes.attention)
        levels: list[nn.Module] = []
        for index, width in reversed(list(enumerate(widths))):
            lowest = index == len(widths) - 1
            blocks = [before] + [width] * (sizes.num_res_blocks + 1)
            level = self.level(blocks, groups, sizes.attention and lowest)
            if index > 0:
                level.upsample = Upsample(width)
            levels.append(level)
            before = width
        self.add_module(self.name, nn.ModuleList(levels[:: -1 if self.finest_first else 1]))
        self.norm_out = group_norm(before, groups)
        self.conv_out = Conv3x3(before, sizes.pixels)

    def forward(self, latent: Tensor) -> Tensor:
        x = self.mid(self.conv_in(latent))
        *lower, finest = reversed(self.levels) if self.finest_first else self.levels
        for level in lower:
            x = level.upsample(level.blocks(x))
        x = finest.blocks(x)
        x = self.conv_out(F.silu(self.norm_out(x)))
        return F.pixel_shuffle(x, self.stem_patch) if self.stem_patch > 1 else x


def check_codebook(config: Any, channels: int) -> None:
    """Refuse sizes of a VQ tokenizer that no network can have; ``channels`` are those of a code.

    Raises:
        VarSpacesError: with what is wrong.
    """
    if config.vocab_size < 2 or channels < 1:
        raise VarSpacesError(
            f"A codebook needs at least 2 codes of 1 channel, not {config.vocab_size} of "
            f"{channels}."
        )
    if any((config.ch * mult) % config.norm_groups for mult in (1, *config.ch_mult)):
        raise VarSpacesError(
            f"Tokenizer widths {config.ch} x {config.ch_mult} must be multiples of "
            f"norm_groups={config.norm_groups}."
        )


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
