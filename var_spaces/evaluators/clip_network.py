"""CLIP (https://arxiv.org/abs/2103.00020) with a residual network, in the layout of open_clip.

Parameter names and results are those of ``open_clip.CLIP`` (a test compares them), so the weights
load there with nothing of ours. It is written out here because training machines have torch only,
and because scoring an image should not need a library for hundreds of other models.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_SCALE = math.log(100)  # limit of the logit scale, as in the paper


@dataclass(frozen=True)
class ClipConfig:
    """Sizes of both towers.

    Args:
        embed_dim: width of the space that images and texts share.
        image_size: side of the images in pixels, a multiple of 32.
        width: channels of the first residual stage; the last has 32 times as many.
        layers: residual blocks of the four stages.
        head_width: channels per head of the attention that pools the image.
        context: tokens that are read of a text; shorter ones are padded.
        vocabulary: number of word pieces.
        end: id of the word piece that ends a text; its state is the text's.
        text_width, text_heads, text_layers: the text transformer.
    """

    embed_dim: int = 128
    image_size: int = 64
    width: int = 16
    layers: tuple[int, int, int, int] = (1, 1, 1, 1)
    head_width: int = 64
    context: int = 64
    vocabulary: int = 9703
    end: int = 3
    text_width: int = 96
    text_heads: int = 3
    text_layers: int = 2

    def open_clip(self) -> dict[str, Any]:
        """The contents of ``open_clip_config.json``; images in [-1, 1] are its normalised ones."""
        vision = {"image_size": self.image_size, "layers": list(self.layers)}
        vision |= {"width": self.width, "head_width": self.head_width}
        text = {"context_length": self.context, "vocab_size": self.vocabulary}
        text |= {"width": self.text_width, "heads": self.text_heads, "layers": self.text_layers}
        text |= {"pool_type": "eos", "eos_id": self.end, "hf_tokenizer_name": "."}
        half = [0.5, 0.5, 0.5]
        pixels = {"mean": half, "std": half, "interpolation": "bicubic", "resize_mode": "squash"}
        model = {"embed_dim": self.embed_dim, "vision_cfg": vision, "text_cfg": text}
        return {"model_cfg": model, "preprocess_cfg": pixels}


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with a shortcut; halves the side by averaging if asked to."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        out = 4 * width
        self.conv1 = nn.Conv2d(width_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        nn.init.zeros_(self.bn3.weight)
        self.downsample = None
        if stride > 1 or width_in != out:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            parts = {"-1": pool, "0": nn.Conv2d(width_in, out, 1, bias=False)}
            self.downsample = nn.Sequential(OrderedDict(parts, **{"1": nn.BatchNorm2d(out)}))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        h = self.bn3(self.conv3(self.avgpool(h)))
        return F.relu(h + (self.downsample(x) if self.downsample else x))


class AttentionPool(nn.Module):
    """A map ``(B, C, h, w)`` to ``(B, D)``: its mean asks, the mean and all positions answer."""

    def __init__(self, side: int, width: int, heads: int, out: int) -> None:
        super().__init__()
        std = width**-0.5
        self.positional_embedding = nn.Parameter(torch.randn(side**2 + 1, width) * std)
        self.k_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, out)
        for layer in (self.k_proj, self.q_proj, self.v_proj, self.c_proj):
            nn.init.normal_(layer.weight, std=std)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(1, keepdim=True), x], 1) + self.positional_embedding
        q, k, v = self.q_proj(x[:, :1]), self.k_proj(x), self.v_proj(x)
        split = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        return self.c_proj(F.scaled_dot_product_attention(*split).flatten(1))


class ResidualStages(nn.Module):
    """A stem that reads a quarter of the side, and stages of bottlenecks; each later one halves it.

    Args:
        width: channels of the stem; stage *n* (from 0) puts out ``width * 4 * 2**n``.
        layers: residual blocks per stage.
    """

    def __init__(self, width: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        last = width
        self.stages = len(layers)
        for stage, blocks in enumerate(layers):
            inner = width * 2**stage
            parts = [Bottleneck(last, inner, 1 if stage == 0 else 2)]
            last = 4 * inner
            parts += [Bottleneck(last, inner, 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*parts))
        self.out_channels = last

    def maps(self, images: Tensor) -> list[Tensor]:
        """Features after the stem and all stages, ``(B, C, S / n, S / n)``, n = 4, 4, 8, 16, 32."""
        x = F.relu(self.bn1(self.conv1(images)))
        x = F.relu(self.bn2(self.conv2(x)))
        found = [F.avg_pool2d(F.relu(self.bn3(self.conv3(x))), 2)]
        for stage in range(self.stages):
            found.append(getattr(self, f"layer{stage + 1}")(found[-1]))
        return found


class ImageTower(ResidualStages):
    """Images ``(B, 3, S, S)`` in [-1, 1] to features ``(B, D)``, not normalised."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__(config.width, config.layers)
        side, width = config.image_size // 32, self.out_channels
        self.attnpool = AttentionPool(side, width, width // config.head_width, config.embed_dim)

    def forward(self, images: Tensor) -> Tensor:
        return self.attnpool(self.maps(images)[-1])


class TextBlock(nn.Module):
    """A pre-norm transformer block; every token sees itself and those before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        layers = {"c_fc": nn.Linear(width, 4 * width), "gelu": nn.GELU()}
        self.mlp = nn.Sequential(OrderedDict(layers, c_proj=nn.Linear(4 * width, width)))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.ln_1(x)
        x = x + self.attn(h, h, h, attn_mask=mask, need_weights=False, is_causal=True)[0]
        return x + self.mlp(self.ln_2(x))


class TextStack(nn.Module):
    """The blocks of the text tower."""

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(TextBlock(width, heads) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        mask = torch.full((length, length), -torch.inf, dtype=x.dtype, device=x.device).triu(1)
        for block in self.resblocks:
            x = block(x, mask)
        return x


class Clip(nn.Module):
    """Both towers. Key names as in ``open_clip.CLIP``."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        width = config.text_width
        self.visual = ImageTower(config)
        self.transformer = TextStack(width, config.text_heads, config.text_layers)
        self.token_embedding = nn.Embedding(config.vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.randn(config.context, width) * 0.01)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, config.embed_dim) * width**-0.5)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def encode_image(self, images: Tensor) -> Tensor:
        """Images ``(B, 3, S, S)`` in [-1, 1] to features ``(B, D)``, not normalised."""
        return self.visual(images)

    def encode_text(self, ids: Tensor) -> Tensor:
        """Word pieces ``(B, L)``, L up to ``context``, to features ``(B, D)``, not normalised."""
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        x = self.ln_final(self.transformer(x))
        ends = (ids == self.config.end).int().argmax(1)
        return x[torch.arange(len(ids), device=ids.device), ends] @ self.text_projection

    def scale(self) -> Tensor:
        """Factor on cosines, at most 100."""
        return self.logit_scale.clamp(max=MAX_SCALE).exp()
