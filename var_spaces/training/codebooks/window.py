"""Which codes the last assignments chose: usage, perplexity, histogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

WINDOW = 65_536


class UsageWindow:
    """First-in first-out window over the code assignments of a run, of all processes.

    Holds the last 65,536 assignments, or V + 1 for codebooks of that size and more (FVQ,
    https://arxiv.org/abs/2509.10140). Unlike the published buffer, it starts empty, so that code 0
    does not count as used before it is.

    Args:
        vocab_size: codes *V* in the codebook.
        size: assignments to remember; None as above.
    """

    def __init__(self, vocab_size: int, device: torch.device, size: int | None = None) -> None:
        size = size or (WINDOW if vocab_size < WINDOW else vocab_size + 1)
        self.vocab_size, self.position = vocab_size, 0
        self.ids = torch.full((size,), vocab_size, device=device)  # V stands for an empty place
        self._counts = torch.zeros(vocab_size + 1, dtype=torch.int64, device=device)
        self._counts[vocab_size] = size

    @torch.no_grad()
    def update(self, ids: Sequence[Tensor]) -> None:
        """Take in the ids ``[(B, l_k)]`` of a batch."""
        new = gathered(torch.cat([i.flatten() for i in ids]))[-len(self.ids) :]
        places = torch.arange(self.position, self.position + len(new), device=new.device)
        places %= len(self.ids)
        one = torch.ones_like(new)
        self._counts.index_add_(0, self.ids[places], -one)
        self._counts.index_add_(0, new, one)
        self.ids[places] = new
        self.position = (self.position + len(new)) % len(self.ids)

    @property
    def counts(self) -> Tensor:
        """How often each code was chosen, ``(V,)`` int64."""
        return self._counts[:-1]

    @property
    def usage(self) -> Tensor:
        """Share of distinct codes, 0..1."""
        return (self.counts > 0).float().mean()

    @property
    def perplexity(self) -> Tensor:
        """``exp`` of the entropy of the code distribution; V when all are used equally."""
        p = self.counts / self.counts.sum().clamp_min(1)
        return torch.exp(-(p * p.clamp_min(1e-12).log()).sum())

    @property
    def histogram(self) -> Tensor:
        """Numbers of codes that were chosen 0, 1, 2-3, 4-7, 8-15, ... times."""
        edges = 2 ** torch.arange(len(self.ids).bit_length(), device=self.ids.device)
        bins = torch.bucketize(self.counts, edges, right=True)
        empty = torch.zeros(len(edges) + 1, dtype=torch.int64, device=self.ids.device)
        return empty.index_add_(0, bins, torch.ones_like(bins))

    def logs(self) -> dict[str, Tensor]:
        """What a row of the metrics file says."""
        named = ("usage", "perplexity", "histogram")
        return {name: getattr(self, name) for name in named}

    def state(self) -> dict[str, Any]:
        return {"ids": self.ids, "position": self.position}

    def load_state(self, state: dict[str, Any]) -> None:
        self.ids.copy_(state["ids"])
        self.position = state["position"]
        self._counts.copy_(torch.bincount(self.ids, minlength=self.vocab_size + 1))


def gathered(ids: Tensor) -> Tensor:
    """The ids of all processes, which all have equally many."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return ids
    parts = [torch.empty_like(ids) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, ids.contiguous())
    return torch.cat(parts)
