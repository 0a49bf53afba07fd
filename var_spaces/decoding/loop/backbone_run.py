"""One backbone inside one run: its condition rows, its KV cache, its cache policy.

Decoding strategies are built from these: the plain one has one, collaborative decoding has two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from var_spaces.cache.prefill import Prefill
from var_spaces.cache.retention import kept
from var_spaces.decoding.guidance.linear import guide
from var_spaces.decoding.search.selection import cache_rows
from var_spaces.decoding.setup import RunSetup
from var_spaces.schedule import ScaleSchedule


class BackboneRun:
    """State of a backbone in a run.

    Args:
        backbone: the module; it is never modified.
        setup: the run.
        images: position in the run of the image that each conditional row belongs to; a strategy
            with several candidates per image repeats it.
        scales: first scales whose tokens the cache is made for; None is all of them.
    """

    def __init__(
        self, backbone: Any, setup: RunSetup, images: Sequence[int], scales: int | None = None
    ) -> None:
        self.backbone, self.guided = backbone, setup.guided
        self.schedule = setup.schedule
        self.cond = setup.conditioning.embed(backbone, images, self.guided)
        self.modulation = backbone.modulation(self.cond, setup.schedule)
        self.guidance = setup.guidance
        self.report, self.observed = setup.report, setup.observe is not None
        layers, heads, head_dim = backbone.kv_layout()
        self.cache = setup.cache.new_cache(
            self.schedule,
            layers=layers,
            rows=len(images) * (2 if self.guided else 1),
            heads=heads,
            head_dim=head_dim,
            dtype=next(backbone.parameters()).dtype,
            device=setup.device,
            reserve=None if scales is None else self.schedule.offsets[scales],
        )
        self.policy = setup.cache.session(self.cache, self.schedule)

    def advance(
        self, scale: int, tokens: Tensor | None, blocks: Sequence[int] | None = None
    ) -> Tensor:
        """Run one scale and extend the cache; hidden states for :meth:`logits`.

        Args:
            scale: index of the scale.
            tokens: its input ``(B, l_k, z)``, the same for both halves; None at scale 0.
            blocks: indices of the blocks to run; None means all.
        """
        hidden = self.backbone.forward_scale(
            self._embed(scale, tokens),
            self.cond,
            scale,
            self.cache,
            blocks,
            self.modulation,
            **self._between(scale),
        )
        return self._done(scale, hidden)

    def prefill(self, inputs: Sequence[Tensor | None]) -> Tensor:
        """Run the first scales together; hidden states of the last of them.

        One pass under the block-causal mask. Where a cache policy drops entries, or guidance acts
        between blocks, every scale has to see what that left: then they run one after another.

        Args:
            inputs: input ``(B, l_k, z)`` of every scale; None at scale 0.
        """
        last = len(inputs) - 1
        if self.policy.wants_queries or any(map(self._between, range(len(inputs)))):
            return [self.advance(scale, tokens) for scale, tokens in enumerate(inputs)][-1]
        x = torch.cat([self._embed(scale, tokens) for scale, tokens in enumerate(inputs)], dim=1)
        cache = Prefill(self.cache, self.schedule, last)
        hidden = self.backbone.forward_scale(
            x, self.cond, last, cache, None, self.modulation, first=0
        )
        return self._done(last, hidden[:, self.schedule.span(last)])

    def _embed(self, scale: int, tokens: Tensor | None) -> Tensor:
        """Input of a scale for all rows."""
        if tokens is None:
            return self.backbone.start(self.cond)
        x = self.backbone.embed_scale(tokens, scale)
        return torch.cat((x, x)) if self.guided else x

    def _done(self, scale: int, hidden: Tensor) -> Tensor:
        self.policy.after_scale(scale)
        if self.observed:
            self.report(scale, kept=kept(self.cache, self.schedule.offsets[scale + 1]))
        return hidden

    def _between(self, scale: int) -> dict[str, Any]:
        """Guidance between blocks, for backbones that the guidance method asks it of."""
        depth = self.backbone.kv_layout()[0]
        weights = self.guidance.hidden_weights(scale, self.schedule, depth) if self.guided else {}

        def after(block: int, x: Tensor) -> Tensor:
            return guide(x, weights[block]).repeat(2, 1, 1) if block in weights else x

        return {"after": after} if weights else {}

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits ``(B or 2B, l, V)`` float32, conditional rows first."""
        return self.backbone.logits(hidden, self.cond, self.modulation)

    def gather_rows(self, index: Tensor) -> None:
        """Keep conditional rows ``index (B',)`` and the unconditional rows that belong to them."""
        if self.guided:
            index = cache_rows(index, self.cache.rows // 2)
        self.cond = self.cond[index]
        self.modulation = self.modulation.gather_rows(index)
        self.cache.gather_rows(index)

    @property
    def kv_bytes(self) -> int:
        return self.cache.nbytes

    def kv_full_bytes(self, scale: int) -> int:
        """Bytes that all tokens up to and including ``scale`` take in all layers."""
        return full_kv_bytes(self.backbone, self.schedule, self.cache.rows, scale)


def full_kv_bytes(backbone: Any, schedule: ScaleSchedule, rows: int, scale: int) -> int:
    """Bytes that all tokens up to and including ``scale`` take in all layers of a backbone."""
    layers, heads, head_dim = backbone.kv_layout()
    token = 2 * layers * heads * head_dim * next(backbone.parameters()).dtype.itemsize
    return token * rows * schedule.offsets[scale + 1]
