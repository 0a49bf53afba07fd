"""What CSD-VAR learns (https://arxiv.org/abs/2507.13984); see ``content_style.py``."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Sizes(Protocol):
    """What the network reads of its adapter, see ``content_style.py``."""

    text_rows: int
    rank: int
    slots: int


class ContentStyleNetwork(nn.Module):
    """Rows of text in the encoder's input, directions of content in its output, a memory.

    Attributes:
        content, style: ``(text_rows, E)``, like embeddings of words.
        directions: ``(rank, E)`` orthonormal rows that name the content, or zeros: none yet.
        keys, values: ``(2, slots, C)`` of the first block: those of style, then of content. They
            are neither normalised nor rotated.
        text_len: tokens that the model reads of a prompt.
    """

    def __init__(self, adapter: Sizes, config: Any) -> None:
        super().__init__()
        self.text_len = config.text_len
        shape = (adapter.text_rows, config.text_dim)
        self.content, self.style = (nn.Parameter(torch.zeros(shape)) for _ in range(2))
        self.register_buffer("directions", torch.zeros(adapter.rank, config.text_dim))
        bound = math.sqrt(6 / (3 * sum(n * n for n in config.patch_nums) + config.width))
        memory = (2, adapter.slots, config.width)
        self.keys, self.values = (
            nn.Parameter(torch.empty(memory).uniform_(-bound, bound)) for _ in range(2)
        )

    @torch.no_grad()
    def start_from(self, content: Tensor, style: Tensor) -> None:
        """Begin with the embeddings ``(tokens, E)`` of two words, repeated as often as needed."""
        for rows, word in ((self.content, content), (self.style, style)):
            rows.copy_(word[torch.arange(len(rows)) % len(word)])
