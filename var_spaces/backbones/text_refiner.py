"""A few blocks that read a prompt as a whole before an image transformer attends to its tokens.

Text encoders that were trained to compare whole sentences say in every token what the sentence is
about, and hardly which place or colour belongs to which word. Refining the tokens by blocks that
are trained for the image model is what HunyuanVideo does (https://arxiv.org/abs/2412.03603, token
refiner). Here they add to what the encoder says, and at first nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from var_spaces.backbones.dense_attention import dense_attention
from var_spaces.backbones.layers import FeedForward
from var_spaces.backbones.products import Linear
from var_spaces.backbones.rope import Rotary
from var_spaces.backbones.text_features import TextFeatures

BASE = 100.0  # slowest rotation; prompts are short, and the words that matter stand close by


class RefinerBlock(nn.Module):
    """Self-attention of text tokens with rotary positions, and a feed-forward part."""

    def __init__(self, width: int, heads: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.RMSNorm(width, eps=eps)
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)
        self.ffn_norm = nn.RMSNorm(width, eps=eps)
        self.ffn = FeedForward(width, hidden)

    def forward(self, x: Tensor, turn: Rotary, mask: Tensor | None) -> Tensor:
        """``x (B, T, C)``; ``mask (B, 1, 1, T)`` is True at text, None without padding."""
        qkv = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        out = dense_attention(turn.turn(q), turn.turn(k), v, mask)
        x = x + self.proj(out.transpose(1, 2).flatten(2))
        return x + self.ffn(self.ffn_norm(x))


class TextRefiner(nn.Module):
    """Text features of the same shape, with what each token's neighbours say of it added.

    Args:
        text_dim: channels *E* of the features.
        width, heads, hidden: of the blocks.
        depth: how many there are, at least 1.
    """

    def __init__(
        self, text_dim: int, width: int, heads: int, hidden: int, depth: int, eps: float
    ) -> None:
        super().__init__()
        self.enter_norm = nn.RMSNorm(text_dim, eps=eps)
        self.enter = Linear(text_dim, width)
        self.blocks = nn.ModuleList(RefinerBlock(width, heads, hidden, eps) for _ in range(depth))
        self.leave_norm = nn.RMSNorm(width, eps=eps)
        self.leave = Linear(width, text_dim)

    def forward(self, text: TextFeatures) -> TextFeatures:
        """The prompts are refined each by itself; padding changes nothing."""
        mask = text.mask()
        spread = None if mask is None else mask[:, None, None]
        x = text.padded(self.enter_norm(text.packed.to(self.enter_norm.weight.dtype)))
        x = self.enter(x)
        turn = _positions(x.shape[1], x.shape[2] // self.blocks[0].heads, x.device)
        for block in self.blocks:
            x = block(x, turn, spread)
        added = self.leave(self.leave_norm(x))
        rows = added.flatten(0, 1) if mask is None else added[mask]
        return TextFeatures(text.packed + rows.to(text.packed.dtype), text.lengths)


def _positions(length: int, head_dim: int, device: torch.device) -> Rotary:
    """Angles of the positions of a prompt."""
    pairs = torch.arange(head_dim // 2, device=device, dtype=torch.float32)
    at = torch.arange(length, device=device, dtype=torch.float32)
    angles = at[:, None] * BASE ** (-2 * pairs / head_dim)
    return Rotary(angles.cos(), angles.sin())
