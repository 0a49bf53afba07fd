"""A subject that a text model was fine-tuned to: ARBooth.

Fine-Tuning Visual Autoregressive Models for Subject-Driven Generation
(https://arxiv.org/abs/2504.02612). In a prompt ``<it>`` stands for the subject: the text encoder
reads a placeholder and the word of the class, and in what it puts out the placeholder's row gives
way to learned rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from var_spaces.adapters.base import Adapter, Entries, Given, Loaded, Prepared
from var_spaces.adapters.subject_layers import SubjectLayers
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import nn


@register
class Subject(Adapter):
    """Learned rows of text, and other weights of the layers that take a subject in best."""

    name = "subject"
    title = "A subject, fine-tuned"
    paper = "https://arxiv.org/abs/2504.02612"

    word: str = Field(
        "", max_length=64, description="broad noun put behind <it>; empty: the prompt says it"
    )
    placeholder: str = Field(
        min_length=1, max_length=32, description="one token of the text encoder, put before it"
    )
    text_rows: int = Field(4, ge=1, le=64, description="learned rows of text; published 4")
    ca: bool = Field(True, description="attention to the text has weights of its own")
    ffn: bool = Field(True, description="the feed-forward part has weights of its own")
    sa: bool = Field(False, description="self-attention has weights of its own")
    rank: int = Field(0, ge=0, le=256, description="of thin matrices (LoRA); 0 is whole layers")
    alpha: float = Field(8.0, gt=0, le=1024, description="LoRA's factor times its rank")
    level_every_chunk: bool = Field(
        False, description="add the scale embedding before every group of blocks, as published"
    )
    next_input: Literal["bilinear", "area"] = Field(
        "bilinear", description="how the input of the next scale is resized; published: area"
    )

    @property
    def needs(self) -> dict[str, str]:
        return {"text": "a subject is asked for in words"}

    @property
    def layers(self) -> SubjectLayers:
        return SubjectLayers(self.text_rows, self.ca, self.ffn, self.sa, self.rank, self.alpha)

    def build(self, config: Any) -> nn.Module:
        from var_spaces.adapters.subject_network import SubjectNetwork

        return SubjectNetwork(self.layers, config)

    def file_entries(self, own: Entries, base: Entries) -> Entries:
        """Files of the public code hold the whole model, blocks in half the bytes."""
        if not self.level_every_chunk:
            return own
        half = {k: [v[0], "bfloat16"] if k.startswith("block") else v for k, v in base.items()}
        return {**half, "special_token": own["special_token"]}

    def told(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
        """Published files have two to four learned rows, and say so nowhere else."""
        return {"text_rows": rows[0]} if len(rows := shapes.get("special_token", ())) == 2 else {}

    def prepare(self, model: Loaded, given: Given) -> Prepared:
        from var_spaces.adapters.subject_run import SubjectRun

        return SubjectRun(self, model.own, model.backbone)
