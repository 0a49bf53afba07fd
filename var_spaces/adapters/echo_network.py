"""The layers that EchoGen adds to Infinity (https://arxiv.org/abs/2509.26127, released module).

Names of parameters are those of the published file; all of them hold the word "control". Where a
layer has a twin in the base model it starts as a copy of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.adapters.block_names import numbered
from var_spaces.backbones.dense_attention import dense_attention
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.infinity_layers import CrossAttention, InfinityBlock, TextMemory
from var_spaces.backbones.layers import MAX_LOG_SCALE, FeedForward, Projection, modulate


class Content(NamedTuple):
    """What a block shows of the reference's content: keys and values ``(R, H, Lc, D)``, and the
    content stream ``(R, Lc, C)`` after it."""

    k: Tensor
    v: Tensor
    stream: Tensor


class ContentAttention(nn.Module):
    """Self-attention of the content stream, and the way of its values into the image stream.

    As in the base model queries and keys are normalised, and queries have a factor per head; they
    have no positions.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.control_scale_mul_1H11 = nn.Parameter(torch.full((1, heads, 1, 1), math.log(4.0)))
        self.control_mat_q = Projection(width, width)
        self.control_mat_kv = Projection(width, 2 * width)
        self.control_q_bias = nn.Parameter(torch.zeros(width))
        self.control_v_bias = nn.Parameter(torch.zeros(width))
        self.control_proj = nn.Linear(width, width)
        self.control_attn = Projection(width, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keys and values ``(R, H, Lc, D)`` of normed content ``x (R, Lc, C)``, and its attention
        to itself."""
        q = self.control_mat_q(x, self.control_q_bias)
        bias = torch.cat((torch.zeros_like(self.control_v_bias), self.control_v_bias))
        k, v = self.control_mat_kv(x, bias).chunk(2, -1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        factor = self.control_scale_mul_1H11.float().clamp_max(MAX_LOG_SCALE).exp()
        q = (F.normalize(q.float(), dim=-1) * factor).to(v.dtype)
        k = F.normalize(k.float(), dim=-1).to(v.dtype)
        own = dense_attention(q, k, v, scale=1.0)
        return k, v, self.control_proj(own.transpose(1, 2).reshape(x.shape))


class SemanticKeys(nn.Module):
    """Keys and values of the semantic tokens, beside those of the text.

    ``control_gate`` is not in published files: see :class:`EchoNetwork`.
    """

    def __init__(self, width: int, heads: int, gated: bool) -> None:
        super().__init__()
        self.heads = heads
        self.control_mat_kv = Projection(width, 2 * width)
        self.control_v_bias = nn.Parameter(torch.zeros(width))
        if gated:
            self.control_gate = nn.Parameter(torch.zeros(1, heads, 1, 1))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """``(R, H, S, D)`` each, of projected tokens ``(R, S, C)``."""
        bias = torch.cat((torch.zeros_like(self.control_v_bias), self.control_v_bias))
        k, v = self.control_mat_kv(tokens.to(bias.dtype), bias).chunk(2, -1)
        k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (k, v))
        return k, v


class EchoBlock(nn.Module):
    """What is added to one block: the content stream has parts of its own like the image's."""

    def __init__(self, base: InfinityConfig, content: bool, semantic: bool, gated: bool) -> None:
        super().__init__()
        width, heads = base.width, base.heads
        self.eps = base.norm_eps
        if semantic:
            self.ca = SemanticKeys(width, heads, gated)
        if content:
            self.sa = ContentAttention(width, heads)
            self.control_ada_gss = nn.Parameter(torch.zeros(1, 1, 6, width))
            self.control_ca = CrossAttention(width, heads)
            self.control_ca_norm = nn.LayerNorm(width, eps=base.norm_eps)
            self.control_ffn = FeedForward(width, base.hidden)

    @torch.no_grad()
    def start_content(self, block: InfinityBlock) -> None:
        """Copy the image's parts of a block for the content stream."""
        width = self.sa.control_attn.in_features
        qkv = block.sa.mat_qkv.weight
        self.sa.control_mat_q.weight.copy_(qkv[:width])
        self.sa.control_mat_kv.weight.copy_(qkv[width:])
        self.sa.control_q_bias.copy_(block.sa.q_bias)
        self.sa.control_v_bias.copy_(block.sa.v_bias)
        self.sa.control_scale_mul_1H11.copy_(block.sa.scale_mul_1H11)
        self.sa.control_proj.load_state_dict(block.sa.proj.state_dict())
        self.control_ada_gss.copy_(block.ada_gss)
        for own, twin in (
            ("control_ca", "ca"),
            ("control_ca_norm", "ca_norm"),
            ("control_ffn", "ffn"),
        ):
            getattr(self, own).load_state_dict(getattr(block, twin).state_dict())

    @torch.no_grad()
    def forget_keys(self) -> None:
        """Zero the keys and values of the reference, as the public code starts."""
        for part in ("sa", "ca"):
            if hasattr(self, part):
                nn.init.zeros_(getattr(self, part).control_mat_kv.weight)

    def content(self, x: Tensor, shared: Tensor, text: Tensor, mask: Tensor | None) -> Content:
        """The content stream through this block.

        Args:
            x: content ``(R, Lc, C)`` float32.
            shared: its modulation but for this block's own part, ``(R, 1, 6, C)``.
            text, mask: projected text ``(R, T, C)`` and where it is, ``(R, T)``.
        """
        own = self.control_ada_gss.float() + shared.float()
        gate1, gate2, scale1, scale2, shift1, shift2 = own.unbind(2)
        dtype = self.control_ffn.fc1.bias.dtype
        k, v, h = self.sa(modulate(x, scale1, shift1, self.eps).to(dtype))
        x = x + gate1 * h
        norm = self.control_ca_norm
        h = F.layer_norm(x, x.shape[-1:], norm.weight.float(), norm.bias.float(), self.eps)
        x = x + self.control_ca(h.to(dtype), self.control_ca.memory(text, mask))
        x = x + gate2 * self.control_ffn(modulate(x, scale2, shift2, self.eps).to(dtype))
        return Content(k, v, x)


class EchoNetwork(nn.Module):
    """All that is added.

    Published models do not begin as the base model: semantic keys of zero take a share of the
    attention to the text, and the token of the whole is one more in the sequence. With ``exact``
    they do: semantic tokens, that of the whole among them, have a softmax of their own behind a
    gate per head that starts at zero, and no token is added.

    Args:
        base: configuration of the backbone.
        semantic: channels of the image encoder and its tokens, the whole included; None is none.
        content: channels of the content latents and their tokens; None is none.
        exact: see above.
    """

    ignored_keys = (r".*zero_k_bias",)

    def __init__(
        self,
        base: InfinityConfig,
        semantic: tuple[int, int] | None,
        content: tuple[int, int] | None,
        exact: bool,
    ) -> None:
        super().__init__()
        width = base.width
        self.exact, self.has_semantic, self.has_content = exact, bool(semantic), bool(content)
        if semantic:
            channels, tokens = semantic
            self.control_proj_for_ca = _two_layers(channels, width)
            self.control_proj_for_sos = nn.Linear(channels, width)
            if not exact:
                self.control_pos_start = nn.Parameter(torch.zeros(1, 1, width))
            self.control_shared_ada_lin = _modulation(width)
            self.control_features_uncond = nn.Parameter(torch.zeros(tokens, channels))
        if content:
            channels, tokens = content
            self.control_proj_for_ca_refer = _two_layers(channels, width)
            self.control_shared_ada_lin_refer = _modulation(width)
            if semantic:
                self.control_shared_ada_lin_refer_dino = _modulation(width)
            self.control_features_refer_uncond = nn.Parameter(torch.zeros(tokens, channels))
        self.blocks = nn.ModuleList(
            EchoBlock(base, self.has_content, self.has_semantic, exact) for _ in range(base.depth)
        )
        self.initialise(base)

    @torch.no_grad()
    def initialise(self, base: InfinityConfig) -> None:
        """Fresh weights; :meth:`start_from` then copies what has a twin."""
        std = math.sqrt(1 / (3 * base.width))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for name in ("control_features_uncond", "control_features_refer_uncond"):
            if hasattr(self, name):
                rows = getattr(self, name)
                nn.init.trunc_normal_(rows, std=1.2)
                rows.div_(math.sqrt(rows.shape[-1]))
        if self.has_semantic:
            nn.init.zeros_(self.control_proj_for_sos.weight)
        for block in self.blocks:
            if self.has_content:
                nn.init.zeros_(block.sa.control_attn.weight)

    @torch.no_grad()
    def start_from(self, model: Infinity) -> EchoNetwork:
        """Copy the twins of the base model, and zero what lets nothing through at first.

        As published all keys and values of the reference start from zero (their biases do not).
        With ``exact`` gates see to that, so the projections keep what the model has learned.
        """
        shared = model.shared_ada_lin[1]
        for name in ("", "_refer", "_refer_dino"):
            twin = getattr(self, f"control_shared_ada_lin{name}", None)
            if twin is not None:
                twin[1].weight.copy_(shared.weight)
                twin[1].bias.copy_(
                    shared.bias if name == "_refer" else torch.zeros_like(shared.bias)
                )
        for own, block in zip(self.blocks, model.layers, strict=True):
            if self.has_semantic:
                own.ca.control_mat_kv.weight.copy_(block.ca.mat_kv.weight)
                own.ca.control_v_bias.copy_(block.ca.v_bias)
            if self.has_content:
                own.start_content(block)
            if not self.exact:
                own.forget_keys()
        return self

    def adapt_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A published file's tensors as this module spells them: those of the base are left out,
        blocks are numbered through."""
        return {key: value for key, value in numbered(state).items() if "control" in key}

    # --- what follows from a reference ------------------------------------------------------------

    def whole(self, semantic: Tensor) -> Tensor:
        """The condition that the token of the whole is, ``(R, C)``, from ``(R, 1 + S, E)``."""
        return self.control_proj_for_sos(semantic[:, 0])

    def modulation(self, whole: Tensor) -> Tensor:
        """What is added to the modulation of the image's tokens, ``(R, 1, 6, C)``."""
        return self.control_shared_ada_lin(whole).float().view(len(whole), 1, 6, -1)

    def memories(self, semantic: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of the semantic tokens for every block, ``(R, H, S, D)`` each."""
        tokens = self.control_proj_for_ca(semantic if self.exact else semantic[:, 1:])
        return [block.ca(tokens) for block in self.blocks]

    def contents(
        self,
        latents: Tensor,
        whole: Tensor | None,
        pooled: Tensor,
        text: Tensor,
        mask: Tensor | None,
    ) -> list[Content]:
        """The content stream through all blocks.

        Args:
            latents: of the reference, ``(R, Lc, z)``.
            whole: see :meth:`whole`; None without semantic tokens.
            pooled, text, mask: of the prompts, see ``TextCondition``.
        """
        shared = self.control_shared_ada_lin_refer(pooled)
        if whole is not None:
            shared = shared + self.control_shared_ada_lin_refer_dino(whole)
        shared = shared.view(len(shared), 1, 6, -1)
        x = self.control_proj_for_ca_refer(latents).float()
        found = []
        for block in self.blocks:
            found.append(block.content(x, shared, text, mask))
            x = found[-1].stream
        return found


def _two_layers(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(channels, width), nn.GELU(approximate="tanh"), nn.Linear(width, width)
    )


def _modulation(width: int) -> nn.Sequential:
    return nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))


class GatedMemory(NamedTuple):
    """The text, and semantic tokens under a softmax of their own behind a gate per head.

    Attributes:
        text: of the base model.
        keys, values: of the semantic tokens, ``(B, H, S, D)``.
        gate: ``(1, H, 1, 1)``; its hyperbolic tangent is the factor.
    """

    text: TextMemory
    keys: Tensor
    values: Tensor
    gate: Tensor

    def attend(self, q: Tensor) -> Tensor:
        found = dense_attention(q, self.keys.to(q.dtype), self.values.to(q.dtype))
        return self.text.attend(q) + self.gate.tanh().to(q.dtype) * found

    def gather_rows(self, index: Tensor) -> GatedMemory:
        rows = self.text.gather_rows(index), self.keys[index], self.values[index]
        return GatedMemory(*rows, self.gate)
