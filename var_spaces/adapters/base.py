"""Adapters: what a task adds to a next-scale backbone, one file each.

An adapter's fields are its architecture, as the card of an adapter model holds them. Its parameters
are a module of its own beside the base model, which is shared and never changed. Once per run
:meth:`Adapter.prepare` reads what was handed in; what it returns makes an extension of the backbone
for every batch (``backbones/extension.py``). Listing adapters imports no torch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from var_spaces.decoding.backbone import FULL, NULL, BatchRow, Encode
from var_spaces.decoding.base import Part

if TYPE_CHECKING:
    from torch import Tensor, nn

    from var_spaces.backbones.context import RunContext
    from var_spaces.backbones.extension import Extension
    from var_spaces.backbones.text_features import TextFeatures
    from var_spaces.conditioning.packed_encoder import PackedEncoder
    from var_spaces.decoding.backbone import Backbone, Tokenizer
    from var_spaces.schedule import ScaleSchedule

Entries = Mapping[str, Sequence[Any]]  # key -> [shape, type]


@dataclass(frozen=True, eq=False)
class Loaded:
    """What is in memory for a run of an adapter; all of it is shared, none of it is changed.

    Attributes:
        backbone, tokenizer: of the base model.
        own: the adapter's parameters, from :meth:`Adapter.build`; None where it has none, and all
            weights are the model's.
        text_encoder: reads prompts, where the base model has one.
    """

    backbone: Any
    tokenizer: Any
    own: nn.Module | None
    text_encoder: PackedEncoder | None = None


@dataclass(frozen=True, eq=False)
class Given:
    """What a run hands to its adapter.

    Attributes:
        schedule: token maps of the run.
        count: images of the run; all of them get the same.
        inputs: the task, with its inputs as attributes.
        pictures: what the visitor handed in, by the task's field, as the task lets it be seen
            (``Task.seen``): ``(1, 3 or 1, H, W)`` float32 in [-1, 1] on the device of the run.
    """

    schedule: ScaleSchedule
    count: int = 1
    inputs: Any = None
    pictures: Mapping[str, Tensor] = field(default_factory=dict)


class Prepared:
    """An adapter at work in one run. The base class changes nothing."""

    def text(self, prompts: Sequence[str], row: str, encode: Encode) -> TextFeatures:
        """Features of the prompts of a block of rows.

        Args:
            prompts: one per image.
            row: name of the rows; those without a prompt ("null") are not asked for.
            encode: reads prompts as the base model does, and remembers them by encoder and prompt.
                What was learned must not go through it: read embeddings of your own with the
                encoder itself (:meth:`PackedEncoder.read`).
        """
        return encode(prompts)

    def overlaid(self, backbone: Backbone) -> Backbone:
        """The backbone, or a shell of it with other weights in places (``overlay.py``)."""
        return backbone

    def retokenized(self, tokenizer: Tokenizer) -> Tokenizer:
        """The tokenizer, or a shell of it that works otherwise."""
        return tokenizer

    def extension(self, context: RunContext, rows: Sequence[BatchRow]) -> Extension:
        """What it adds to the backbone for the rows of one batch."""
        from var_spaces.backbones.extension import IDENTITY

        return IDENTITY


class Adapter(Part):
    """Base class of adapters; fields are their architecture."""

    kind = "adapter"
    # conditions that it tells apart, the full one first: guidance may mix these rows
    rows: ClassVar[tuple[str, ...]] = (FULL, NULL)

    @property
    def excludes(self) -> Mapping[str, str]:
        return {"second-model": "an adapter is made for one model"}

    def build(self, config: Any) -> nn.Module:
        """Its own parameters, freshly drawn, for a backbone of a configuration; none by default.

        What the base model computes must not change with them as they are drawn.
        """
        from torch import nn

        return nn.Module()

    def file_entries(self, own: Entries, base: Entries) -> Entries:
        """Entries of a weight file as its authors write it.

        Args:
            own: of the adapter's parameters, by key: shape and type.
            base: of the base model's file.
        """
        return own

    def told(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
        """Parameters that a weight file tells by the shapes of its tensors, by key; none here.

        They are checked as those of a card are.
        """
        return {}

    def pinned(self, schedule: ScaleSchedule, config: Any) -> Sequence[int]:
        """Cache entries that it pins, per block; for estimates."""
        return [0] * config.depth

    def held(self, schedule: ScaleSchedule, config: Any) -> int:
        """Key-value pairs of all heads that it holds beside the cache, over all blocks, once per
        run; for estimates."""
        return 0

    @abstractmethod
    def prepare(self, model: Loaded, given: Given) -> Prepared:
        """Get ready for a run: read pictures, run what is computed once.

        Raises:
            VarSpacesError: if something that it needs was not handed in.
        """
