"""What next-scale transformers share: attention, feed-forward, AdaLN block and head.

Structure and parameter names follow VAR (https://arxiv.org/abs/2404.02905, §3 and its published
files). Norms, softmax inputs and the residual stream stay in float32 whatever the dtype of the
weights or of autocast; matrix products run in the dtype of the weights, or of autocast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.backbones import fused
from var_spaces.backbones.fused import modulate
from var_spaces.backbones.products import Linear, gelu, product
from var_spaces.cache.beside import Attend

MAX_LOG_SCALE = math.log(100)


def derived_device() -> torch.device | None:
    """Device of buffers that are computed, not loaded: they must hold values on "meta" too."""
    return torch.device("cpu") if torch.get_default_device().type == "meta" else None


class Projection(nn.Linear):
    """A linear layer without a bias of its own; one may come with each call."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return product(x, self.weight, bias)


class SelfAttention(nn.Module):
    """Multi-head attention with a fused qkv projection whose k part has no bias.

    With ``l2_norm``, q and k are normalised per head and q carries a learned factor
    ``exp(scale_mul) <= 100`` (initially 4); otherwise scores are scaled by ``0.25 / sqrt(D)``.
    """

    def __init__(self, width: int, heads: int, l2_norm: bool) -> None:
        super().__init__()
        self.heads, self.head_dim, self.l2_norm = heads, width // heads, l2_norm
        self.score_scale = 1.0 if l2_norm else 0.25 / math.sqrt(self.head_dim)
        if l2_norm:
            self.scale_mul_1H11 = nn.Parameter(torch.full((1, heads, 1, 1), math.log(4.0)))
        self.mat_qkv = Projection(width, 3 * width)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = Linear(width, width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values ``(B, H, l, D)`` of ``x (B, l, C)``, ready for attention."""
        b, length, _ = x.shape
        bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        qkv = (
            self.mat_qkv(x, bias)
            .view(b, length, 3, self.heads, self.head_dim)
            .permute(2, 0, 3, 1, 4)
        )
        q, k, v = qkv.unbind(0)
        if self.l2_norm:
            factor = self.scale_mul_1H11.float().clamp_max(MAX_LOG_SCALE).exp()
            q = (F.normalize(q.float(), dim=-1) * factor).to(v.dtype)
            k = F.normalize(k.float(), dim=-1).to(v.dtype)
        return q, k, v

    def raw_queries(self, x: Tensor, index: Tensor) -> Tensor:
        """Queries ``(B, H, m, D)`` of tokens ``index (m,)`` of ``x (B, l, C)`` as projected:
        without bias, normalisation, per-head factor and rotation."""
        queries = self.mat_qkv(x[:, index])[..., : self.heads * self.head_dim]
        return queries.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        out = attend(*self.project(x), self.score_scale, partial(self.raw_queries, x))
        return self.proj(out.transpose(1, 2).reshape(x.shape))


class FeedForward(nn.Module):
    """``fc2(gelu_tanh(fc1(x)))``."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(gelu(self.fc1, x))


class AdaLNBlock(nn.Module):
    """Transformer block modulated by the condition.

    The modulation ``(B, 1, 6, C)`` holds, in this order: attention gate, feed-forward gate,
    attention scale, feed-forward scale, attention shift, feed-forward shift. With ``shared`` the
    model projects the condition once and the block adds its own table ``ada_gss``; otherwise the
    block has its own projection.
    """

    calls = ("modulation",)  # methods that a model calls beside ``forward``

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        hidden: int,
        shared: bool,
        l2_norm: bool,
        eps: float,
    ) -> None:
        super().__init__()
        self.eps, self.shared = eps, shared
        self.attn = SelfAttention(width, heads, l2_norm)
        self.ffn = FeedForward(width, hidden)
        if shared:
            self.ada_gss = nn.Parameter(torch.zeros(1, 1, 6, width))
        else:
            self.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def modulation(self, cond: Tensor) -> Tensor:
        """``(B, 1, 6, C)`` float32 from ``cond``: ``(B, C)``, or ``(B, 6 C)`` when shared."""
        if self.shared:
            return self.ada_gss.float() + cond.float().view(cond.shape[0], 1, 6, -1)
        return self.ada_lin(cond).float().view(cond.shape[0], 1, 6, -1)

    def forward(self, x: Tensor, modulation: Tensor, attend: Attend) -> Tensor:
        """Residual stream ``x (B, l, C)`` float32 after this block."""
        gate1, gate2, scale1, scale2, shift1, shift2 = modulation.unbind(2)
        dtype = self.ffn.fc1.bias.dtype
        h = self.attn(fused.modulated(x, scale1, shift1, self.eps, dtype), attend)
        x, h = fused.joined_modulated(x, h, gate1, scale2, shift2, self.eps, dtype)
        return fused.joined(x, self.ffn(h), gate2)


class AdaLNHead(nn.Module):
    """The norm before the output projection: condition -> ``(scale, shift)``, in this order."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def modulation(self, cond: Tensor) -> Tensor:
        """``(B, 1, 2, C)`` float32 from ``cond (B, C)``."""
        return self.ada_lin(cond).float().view(cond.shape[0], 1, 2, -1)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        return modulate(x, *modulation.unbind(2), self.eps)


def initialise_linears(modules: Sequence[nn.Module], std: float) -> None:
    """Truncated-normal weights and zero biases for all linear and embedding layers."""
    for module in modules:
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Embedding):
                nn.init.trunc_normal_(layer.weight, std=std)
            if isinstance(layer, nn.Linear) and layer.bias is not None:
                nn.init.zeros_(layer.bias)
