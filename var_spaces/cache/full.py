"""The full KV cache: every token of every scale stays, as in VAR (arXiv 2404.02905)."""

from __future__ import annotations

from var_spaces.cache.base import CachePolicy
from var_spaces.methods import register


@register
class Full(CachePolicy):
    """Keep everything: exact, and the reference that other policies are compared with."""

    name = "full"
    title = "Full cache"
    paper = "https://arxiv.org/abs/2404.02905"
