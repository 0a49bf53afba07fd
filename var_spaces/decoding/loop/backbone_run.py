"""One backbone inside one run: its condition rows, its KV cache, its cache policy.

Decoding strategies are built from these: the plain one has one, collaborative decoding has two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from var_spaces.cache.prefill import Prefill
from var_spaces.cache.retention import kept
from var_spaces.decoding.backbone import AfterBlock, Backbone, Context, batch_rows
from var_spaces.decoding.base import guide
from var_spaces.decoding.setup import RunSetup
from var_spaces.schedule import ScaleSchedule


class BackboneRun:
    """State of a backbone in a run.

    Args:
        backbone: the module; it is never modified.
        setup: the run.
        images: position in the run of the image that each row of a block belongs to; a strategy
            with several candidates per image repeats it.
        scales: first scales whose tokens the cache is made for; None is all of them.
    """

    def __init__(
        self, backbone: Backbone, setup: RunSetup, images: Sequence[int], scales: int | None = None
    ) -> None:
        self.names, self.schedule, self.guidance = setup.rows, setup.schedule, setup.guidance
        self.report, self.observed = setup.report, setup.observe is not None
        adapter, rows = setup.adapter, batch_rows(self.names, images)
        self.backbone = adapter.overlaid(backbone) if adapter else backbone
        self.context = self._asked(setup, images)
        if adapter:
            self.context = self.context.extended(adapter.extension(self.context, rows))
        layers, heads, head_dim = self.backbone.kv_layout()
        self.cache = setup.cache.new_cache(
            self.schedule,
            layers=layers,
            rows=len(rows),
            heads=heads,
            head_dim=head_dim,
            dtype=next(self.backbone.parameters()).dtype,
            device=setup.device,
            reserve=None if scales is None else self.schedule.offsets[scales],
            blocks=len(self.names),
        )
        self.policy = setup.cache.session(self.cache, self.schedule)
        for layer in range(layers):
            if (pinned := self.context.extension.pinned(layer)) is not None:
                self.cache.pin(layer, *pinned)
        self.context = self.context.settled()

    def _asked(self, setup: RunSetup, images: Sequence[int]) -> Context:
        """What follows from the condition of a run."""
        rows = batch_rows(self.names, images)
        cond = setup.conditioning.embed(self.backbone, rows, setup.adapter)
        return self.backbone.context(cond, setup.schedule)

    def refresh(self, setup: RunSetup, images: Sequence[int]) -> bool:
        """Write the condition of another run over this one's; False if its shapes differ."""
        return overwrite(self.context, self._asked(setup, images))

    def advance(
        self, scale: int, tokens: Tensor | None, blocks: Sequence[int] | None = None
    ) -> Tensor:
        """Run one scale and extend the cache; hidden states for :meth:`logits`.

        Args:
            scale: index of the scale.
            tokens: its input ``(B, l_k, z)``, the same for all named rows; None at scale 0.
            blocks: indices of the blocks to run; None means all.
        """
        hidden = self.backbone.forward_scale(
            self._embed(scale, tokens),
            range(scale, scale + 1),
            self.context,
            self.cache,
            blocks,
            self._between(scale),
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
        hidden = self.backbone.forward_scale(x, range(len(inputs)), self.context, cache)
        return self._done(last, hidden[:, self.schedule.span(last)])

    def _embed(self, scale: int, tokens: Tensor | None) -> Tensor:
        """Input of a scale for all rows."""
        if tokens is None:
            return self.backbone.start(self.context)
        return self.repeated(self.backbone.embed_scale(tokens, scale, self.context))

    def repeated(self, x: Tensor) -> Tensor:
        """``x (B, ...)`` for the rows of every name."""
        return torch.cat([x] * len(self.names)) if len(self.names) > 1 else x

    def _done(self, scale: int, hidden: Tensor) -> Tensor:
        self.policy.after_scale(scale)
        if self.observed:
            self.report(scale, kept=kept(self.cache, self.schedule.offsets[scale + 1]))
            self.report(scale, pinned=torch.tensor(self.cache.pinned))
        return hidden

    def _between(self, scale: int) -> AfterBlock | None:
        """Guidance between blocks, for backbones that the guidance method asks it of."""
        if len(self.names) == 1:
            return None
        depth = self.backbone.kv_layout()[0]
        weights = self.guidance.hidden_weights(scale, self.schedule, depth)

        def after(block: int, x: Tensor) -> Tensor:
            if block not in weights:
                return x
            return guide(self.parts(x), weights[block]).repeat(len(self.names), 1, 1)

        return after if weights else None

    def parts(self, x: Tensor) -> Mapping[str, Tensor]:
        """Rows of every name, ``(B, ...)``."""
        return dict(zip(self.names, x.chunk(len(self.names)), strict=True))

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits ``(R B, l, V)`` float32 of R named rows, a block after the other."""
        return self.backbone.logits(hidden, self.context)

    def gather_rows(self, index: Tensor) -> None:
        """Keep rows ``index (B',)`` of every block."""
        index = every_block(index, self.cache.rows // len(self.names), len(self.names))
        self.context = self.context.gather_rows(index)
        self.cache.gather_rows(index)

    @property
    def kv_bytes(self) -> int:
        return self.cache.nbytes

    @property
    def kv_pinned_bytes(self) -> int:
        return self.cache.pinned_bytes

    def kv_full_bytes(self, scale: int) -> int:
        """Bytes that all tokens up to and including ``scale`` take in all layers, with what is
        pinned before them."""
        tokens = full_kv_bytes(self.backbone, self.schedule, self.cache.rows, scale)
        return self.kv_pinned_bytes + tokens


def overwrite(old: Any, new: Any) -> bool:
    """Copy all tensors of a structure of dataclasses and tuples into another one's, in place.

    Returns:
        False, and nothing is copied, if they differ in anything but the numbers of tensors.
    """
    pairs: list[tuple[Tensor, Tensor]] = []
    if not _paired(old, new, pairs):
        return False
    for before, after in pairs:
        if before is not after:  # tables of a schedule are shared
            before.copy_(after)
    return True


def _paired(old: Any, new: Any, pairs: list[tuple[Tensor, Tensor]]) -> bool:
    """Whether two structures are alike; collects their tensors."""
    if type(old) is not type(new):
        return False
    if isinstance(old, Tensor):
        pairs.append((old, new))
        return old.shape == new.shape and old.dtype == new.dtype and old.device == new.device
    if isinstance(old, tuple):
        return len(old) == len(new) and all(map(_paired, old, new, repeat(pairs)))
    if is_dataclass(old) and not isinstance(old, ScaleSchedule):
        names = [field.name for field in fields(old)]
        return all(_paired(getattr(old, n), getattr(new, n), pairs) for n in names)
    return old == new


def every_block(index: Tensor, rows: int, blocks: int) -> Tensor:
    """Rows of a batch of blocks of ``rows`` each when rows ``index`` of every block survive."""
    return torch.cat([index + block * rows for block in range(blocks)]) if blocks > 1 else index


def full_kv_bytes(backbone: Backbone, schedule: ScaleSchedule, rows: int, scale: int) -> int:
    """Bytes that all tokens up to and including ``scale`` take in all layers of a backbone."""
    layers, heads, head_dim = backbone.kv_layout()
    token = 2 * layers * heads * head_dim * next(backbone.parameters()).dtype.itemsize
    return token * rows * schedule.offsets[scale + 1]
