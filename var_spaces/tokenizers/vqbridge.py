"""VQBridge: a projector over the whole codebook that exists during training only.

FVQ (https://arxiv.org/abs/2509.10140, §3.2): the raw codes ``E`` are laid out as a square image,
compressed to tokens of ``patch x patch`` codes, mixed by transformer blocks, and recovered to codes
``E_hat = f(E)`` that take the place of ``E`` everywhere. Every code gets a gradient at every step,
whichever codes a batch selects. After training ``E_hat`` becomes the codebook and ``f`` is deleted.

Parameter names are the published ones (``quantize.qbridge.*``). Two published variants: "vit" (the
paper's) and "dit" (fixed positions, adaLN-Zero with one learned vector).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.errors import VarSpacesError, did_you_mean

# Widths of the published sizes; a published name is size/patch, e.g. L/4.
SIZES = {"XS": 32, "S": 64, "B": 128, "L": 256, "XL": 512}
TOKENS = 1024  # that the scaling rule aims at: codes per token grow like the codebook


@dataclass(frozen=True)
class VQBridgeConfig:
    """Sizes of a projector.

    Args:
        codes: codes *K*; a square number.
        channels: channels *C* of a code.
        patch: side *p* of the square of codes that becomes one token; divides ``sqrt(K)``.
        width: channels *d'* of a token; a multiple of ``heads`` (of 4 for "dit").
        depth: transformer blocks *N*.
        heads, mlp_ratio: of every block.
        variant: "vit" or "dit".

    Raises:
        VarSpacesError: if the codes do not fill a square of whole patches, or on a bad width.
    """

    codes: int
    channels: int
    patch: int = 4
    width: int = 256
    depth: int = 2
    heads: int = 4
    mlp_ratio: float = 2.0
    variant: str = "vit"

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise VarSpacesError(
                f"Unknown VQBridge variant '{self.variant}': allowed are {', '.join(VARIANTS)}."
                + did_you_mean(self.variant, VARIANTS)
            )
        side, p = math.isqrt(self.codes), self.patch
        if p < 1 or side**2 != self.codes or side % p:
            step = max(p, 1)
            below = max(side // step, 1) * step
            near = sorted({below**2, (below + step) ** 2})
            raise VarSpacesError(
                f"VQBridge needs a square number of codes whose side is a multiple of patch={p}, "
                f"not {self.codes}: set vocab_size to {' or '.join(map(str, near))}."
            )
        unit = math.lcm(self.heads, 4) if self.variant == "dit" else self.heads
        if self.width < 1 or self.depth < 1 or self.width % unit:
            raise VarSpacesError(
                f"VQBridge needs depth >= 1 and a width that is a multiple of {unit}, not "
                f"{self.depth} and {self.width}."
            )

    @property
    def side(self) -> int:
        """Codes along a side of the codebook image, ``sqrt(K)``."""
        return math.isqrt(self.codes)


def patch_for(codes: int) -> int:
    """Patch by the scaling rule of the paper (appendix): 4 codes per token at 4k, 16 at 16k, ...

    The largest power of two that keeps at least :data:`TOKENS` tokens, not below 2; a divisor of
    ``sqrt(codes)``.
    """
    side, patch = math.isqrt(codes), 2
    while side % (2 * patch) == 0 and codes // (2 * patch) ** 2 >= TOKENS:
        patch *= 2
    return patch if side % patch == 0 else 1


class PatchEmbed(nn.Module):
    """Compress: codebook image ``(1, C, h, w)`` to tokens ``(1, T, d')``, row by row."""

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention over tokens ``(1, T, d')``."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(b, t, c))


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


def normalised(x: Tensor) -> Tensor:
    """Layer normalisation without learned scale and shift."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: VQBridgeConfig) -> None:
        super().__init__()
        self.attn = Attention(config.width, config.heads)
        self.mlp = Mlp(config.width, int(config.width * config.mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(normalised(x))
        return x + self.mlp(normalised(x))


class ConditionedBlock(Block):
    """The same with scale, shift and gate of both parts from a vector ``c`` (adaLN-Zero)."""

    def __init__(self, config: VQBridgeConfig) -> None:
        super().__init__(config)
        self.adaLN_modulation = modulation(config.width, 6)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, -1)
        x = x + gate1 * self.attn(normalised(x) * (1 + scale1) + shift1)
        return x + gate2 * self.mlp(normalised(x) * (1 + scale2) + shift2)


class FinalLayer(nn.Module):
    """Recover: tokens ``(1, T, d')`` to the codes of their patches ``(1, T, p p C)``."""

    def __init__(self, config: VQBridgeConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.width, config.patch**2 * config.channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(normalised(x))


class ConditionedFinalLayer(FinalLayer):
    def __init__(self, config: VQBridgeConfig) -> None:
        super().__init__(config)
        self.adaLN_modulation = modulation(config.width, 2)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(c).chunk(2, -1)
        return self.linear(normalised(x) * (1 + scale) + shift)


def modulation(width: int, vectors: int) -> nn.Sequential:
    return nn.Sequential(nn.SiLU(), nn.Linear(width, vectors * width))


class LabelTable(nn.Module):
    """The one learned condition of the "dit" variant, under its published name."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(1, width)


class VQBridge(nn.Module):
    """Raw codes ``(K, C)`` to mapped codes ``(K, C)``; there is no residual connection."""

    def __init__(self, config: VQBridgeConfig) -> None:
        super().__init__()
        self.config = config
        self.x_embedder = PatchEmbed(config.channels, config.width, config.patch)
        self._add_blocks(config)
        self.reset_parameters()

    def _add_blocks(self, config: VQBridgeConfig) -> None:
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.final_layer = FinalLayer(config)

    def reset_parameters(self) -> None:
        """Xavier-uniform weights, zero biases, and a final layer that maps all codes to zero."""
        for layer in self.modules():
            if hasattr(layer, "bias") and hasattr(layer, "weight"):
                nn.init.xavier_uniform_(layer.weight.data.flatten(1))
                nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.final_layer.linear.weight)

    def forward(self, codes: Tensor) -> Tensor:
        side, channels = self.config.side, self.config.channels
        image = codes.view(side, side, channels).permute(2, 0, 1)[None]
        return self.codes(self.recover(self.process(self.x_embedder(image))))

    def process(self, x: Tensor) -> Tensor:
        """Mix tokens ``(1, T, d')``."""
        for block in self.blocks:
            x = block(x)
        return x

    def recover(self, x: Tensor) -> Tensor:
        return self.final_layer(x)

    def codes(self, patches: Tensor) -> Tensor:
        """Patches ``(1, T, p p C)`` (row, column, channel) to codes ``(K, C)``."""
        p, across = self.config.patch, self.config.side // self.config.patch
        grid = patches.view(across, across, p, p, self.config.channels)
        return grid.permute(0, 2, 1, 3, 4).reshape(self.config.codes, self.config.channels)


class DiTBridge(VQBridge):
    """The variant of the published training scripts."""

    def _add_blocks(self, config: VQBridgeConfig) -> None:
        self.register_buffer("pos_embed", positions(config.side // config.patch, config.width))
        self.y_embedder = LabelTable(config.width)
        self.blocks = nn.ModuleList(ConditionedBlock(config) for _ in range(config.depth))
        self.final_layer = ConditionedFinalLayer(config)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.normal_(self.y_embedder.embedding_table.weight, std=0.02)
        for part in (*self.blocks, self.final_layer):
            nn.init.zeros_(part.adaLN_modulation[1].weight)

    def process(self, x: Tensor) -> Tensor:
        x, c = x + self.pos_embed, self.y_embedder.embedding_table.weight[:1]
        for block in self.blocks:
            x = block(x, c)
        return x

    def recover(self, x: Tensor) -> Tensor:
        return self.final_layer(x, self.y_embedder.embedding_table.weight[:1])


VARIANTS: dict[str, type[VQBridge]] = {"vit": VQBridge, "dit": DiTBridge}


def bridge(config: VQBridgeConfig) -> VQBridge:
    """A freshly initialised projector of the variant that ``config`` names."""
    return VARIANTS[config.variant](config)


def positions(side: int, width: int) -> Tensor:
    """Fixed sine-cosine table ``(1, side * side, width)``; the first half tells the column."""
    frequency = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angle = torch.arange(side, dtype=torch.float64)[:, None] * frequency
    one = torch.cat([angle.sin(), angle.cos()], dim=1)
    column, row = one.expand(side, -1, -1), one[:, None].expand(-1, side, -1)
    return torch.cat([column, row], dim=2).reshape(1, side * side, width).float()


def entropy_loss(vectors: Tensor, codes: Tensor, temperature: float = 0.01) -> Tensor:
    """Mean entropy of the assignment of one vector less the entropy of the mean assignment.

    Args:
        vectors: ``(N, C)``; codes: ``(K, C)``. Assignments are ``softmax(-distance / temperature)``
            with squared Euclidean distances. The small constants are the published ones.
    """
    distance = vectors.square().sum(1, keepdim=True) + codes.square().sum(1) - 2 * vectors @ codes.T
    logits = -distance / temperature
    p = logits.softmax(-1)
    mean = p.mean(0)
    each = -(p * (logits + 1e-5).log_softmax(-1)).sum(-1).mean()
    return each + (mean * (mean + 1e-5).log()).sum()
