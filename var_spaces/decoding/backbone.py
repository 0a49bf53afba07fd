"""What the scale loop asks of the models it runs: a backbone, a tokenizer, and what adapts them.

Implementations hold weights only. What changes during a run (cache, context) belongs to the run, so
runs can be interleaved on one model. No torch at run time here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from var_spaces.schedule import ScaleSchedule

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from var_spaces.cache.kv import KVCache
    from var_spaces.cache.prefill import Prefill

# (block, its output (B, l, C)) -> what the next block gets
AfterBlock = Callable[[int, "Tensor"], "Tensor"]
# prompts -> their features, read by the encoder of the run and remembered
Encode = Callable[[Sequence[str]], "TextFeatures"]
FULL, NULL = "full", "null"


class Condition(Protocol):
    """What a backbone's own ``condition(...)`` made of labels or text, a row per row of the batch:
    a tensor ``(B, C)``, or an object that is like one."""

    @property
    def shape(self) -> torch.Size: ...

    @property
    def device(self) -> torch.device: ...

    def __getitem__(self, index: Tensor) -> Self: ...


class Extension(Protocol):
    """What an adapter adds to a backbone; see ``backbones/extension.py``."""

    def pinned(self, block: int) -> tuple[Tensor, Tensor] | None: ...


class Context(Protocol):
    """What follows from condition and schedule, computed once per run."""

    schedule: ScaleSchedule
    extension: Extension

    def gather_rows(self, index: Tensor) -> Self:
        """The context of rows ``index (B',)``."""
        ...

    def extended(self, extension: Extension) -> Self:
        """The same run with an extension."""
        ...

    def settled(self) -> Self:
        """The context of a run whose cache holds what is pinned."""
        ...


class Backbone(Protocol):
    """Condition -> logits of one scale, given the KV cache of the run."""

    schedule: ScaleSchedule

    def parameters(self) -> Iterator[Tensor]: ...

    def kv_layout(self) -> tuple[int, int, int]:
        """``(layers, heads, head_dim)`` of the KV cache."""
        ...

    def context(self, cond: Condition, schedule: ScaleSchedule | None = None) -> Context:
        """What all scales of a run share; ``schedule`` None is the model's own."""
        ...

    def start(self, context: Context) -> Tensor:
        """Input of scale 0, ``(B, l_0, C)``."""
        ...

    def embed_scale(self, tokens: Tensor, scale: int, context: Context) -> Tensor:
        """Input ``(B, l_k, C)`` of a scale k >= 1 from the tokenizer's ``(B, l_k, z)``."""
        ...

    def forward_scale(
        self,
        x: Tensor,
        scales: range,
        context: Context,
        cache: KVCache | Prefill,
        blocks: Sequence[int] | None = None,
        after: AfterBlock | None = None,
    ) -> Tensor:
        """Hidden states ``(B, l, C)`` of what ``x`` holds; extends the cache.

        Args:
            scales: one scale or, where the backbone offers ``prefill`` and the cache masks, all
                scales up to some one.
            blocks: indices of the blocks to run, ascending; None means all.
            after: changes the output of a block (guidance between blocks).
        """
        ...

    def logits(self, hidden: Tensor, context: Context) -> Tensor:
        """Logits ``(B, l, V)`` float32, or ``(B, l, bits, 2)``."""
        ...


class ClassBackbone(Backbone, Protocol):
    """A backbone that draws classes, and styles if it has any."""

    null_label: int
    null_style: int
    num_styles: int

    def condition(self, labels: Tensor, styles: Tensor | None = None) -> Tensor:
        """Condition ``(B, C)`` of labels ``(B,)`` and styles ``(B,)``."""
        ...


class TextBackbone(Backbone, Protocol):
    """A backbone that draws prompts."""

    def condition(self, text: TextFeatures) -> Condition:
        """Condition of the prompts of a batch."""
        ...

    def empty_text(self, lengths: Sequence[int]) -> TextFeatures:
        """What stands for no prompt, as long as each of the prompts whose place it takes."""
        ...


class TextFeatures(Protocol):
    """Features of the prompts of a batch; see ``backbones/text_features.py``."""

    packed: Tensor
    lengths: tuple[int, ...]


class Tokenizer(Protocol):
    """Token maps to images, scale by scale; latents ``f_hat`` are ``(B, z, H, W)``."""

    def new_latent(self, batch: int, schedule: ScaleSchedule, device: torch.device | str) -> Tensor:
        """What accumulating starts from."""
        ...

    def embed(self, ids: Tensor) -> Tensor:
        """Codes ``(B, l, z)`` of ids."""
        ...

    def accumulate(
        self, f_hat: Tensor, codes: Tensor, scale: int, schedule: ScaleSchedule
    ) -> Tensor:
        """The latent after one more scale."""
        ...

    def next_input(self, f_hat: Tensor, scale: int, schedule: ScaleSchedule) -> Tensor:
        """Input ``(B, l_{k+1}, z)`` of the scale after ``scale``."""
        ...

    def decode(self, f_hat: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` in [-1, 1]."""
        ...


@dataclass(frozen=True)
class BatchRow:
    """What a row of a batch is for: a named condition of an image of the run.

    Attributes:
        name: "full", all that was asked for; "null", nothing of it; "text", what words say but
            not what pictures do. An adapter may know others.
        image: position in the run.
    """

    name: str
    image: int


def batch_rows(names: Sequence[str], images: Sequence[int]) -> list[BatchRow]:
    """Rows of a batch in order: a block of all images per name."""
    return [BatchRow(name, image) for name in names for image in images]


def blocks(rows: Sequence[BatchRow]) -> dict[str, list[int]]:
    """Images of every block of :func:`batch_rows`, by name."""
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row.name, []).append(row.image)
    return found


class Adapting(Protocol):
    """An adapter at work in one run; see ``adapters/base.py``."""

    def text(self, prompts: Sequence[str], row: str, encode: Encode) -> TextFeatures:
        """Features of the prompts of the rows of one name."""
        ...

    def overlaid(self, backbone: Backbone) -> Backbone:
        """The backbone, or a shell of it with other weights in places."""
        ...

    def extension(self, context: Context, rows: Sequence[BatchRow]) -> Extension:
        """What it adds for the rows of a batch."""
        ...
